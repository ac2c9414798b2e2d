"""The pure parts of the room ``scheduling``."""
