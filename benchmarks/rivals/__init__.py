"""Other people's recurrent layers, each in a process and an environment of its own."""
