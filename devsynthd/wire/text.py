"""Text as messages can carry it. Pure."""


def named(path: object) -> str:
    """Return *path*, or any name of a file, as Unicode: bytes that are no text become escapes."""
    return str(path).encode(errors="backslashreplace").decode()
