"""Random bodies for all that takes bytes from elsewhere: ``python -m tests.fuzz``."""
