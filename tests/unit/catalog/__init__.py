"""The pure parts of the room ``catalog``."""
