"""The tests, in layers: each folder says what it needs to run."""
