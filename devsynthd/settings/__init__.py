"""What is set: the schema, the sources and which of them wins, the file. Pure but for the file."""
