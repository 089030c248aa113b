"""Lossless compression with a language model: an arithmetic coder and an archive on the fixed-point stepper."""
