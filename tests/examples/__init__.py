"""The examples, run as their readers run them, against a real daemon."""
