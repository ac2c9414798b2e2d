"""Reads the fields of one entry of a list of models, whatever is in them. Pure."""

from typing import Any

from devsynthd.upstream.cleaning import clean

MAX_ID_CHARS = 1024
MAX_NAME_CHARS = 200


def usable_id(value: object) -> str | None:
    """Return *value* if it can be a model's id and be sent back as it is."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARS:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return None
    return value


def line(value: object) -> str | None:
    """Return *value* as one clean line, if it is text with anything in it."""
    return (clean(value, max_chars=MAX_NAME_CHARS) or None) if isinstance(value, str) else None


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is a map, else an empty one."""
    return value if isinstance(value, dict) else {}


def maps(value: object) -> list[dict[str, Any]]:
    """Return the maps in *value*, if it is a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def count(value: object) -> int | None:
    """Return *value* if it is a count that every reader keeps exact."""
    number = whole_number(value)
    return number if number is not None and 0 < number < 2**53 else None


def whole_number(value: object) -> int | None:
    """Return *value* if it is a whole number, also one that is written as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(value: object) -> bool | None:
    """Return *value* if it is true or false."""
    return value if isinstance(value, bool) else None
