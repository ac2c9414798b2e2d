"""The machine: where things are, the socket's address, limits of the process, logs."""
