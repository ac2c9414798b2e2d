"""The commands, a file a family: parse, ask, print."""
