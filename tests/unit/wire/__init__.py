"""The pure parts of the room ``wire``."""
