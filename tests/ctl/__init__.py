"""The client and the command, against a real socket on which the test answers."""
