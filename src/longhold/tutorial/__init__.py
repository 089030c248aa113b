"""The LSTM of "Dive into Deep Learning": its code, to be read, and its experiment, repeated."""
