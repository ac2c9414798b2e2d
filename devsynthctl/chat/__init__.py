"""A conversation with a model: what is said, typed and remembered."""
