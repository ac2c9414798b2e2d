"""The pure parts of the room ``service``."""
