"""Reads the fields of one entry of a list of models, whatever is in them. Pure."""

import math
from typing import Any

from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.wire.errors import UpstreamError

MAX_ID_CHARS = 1024
MAX_NAME_CHARS = 200
MAX_MODELS = 20_000


def check_count(entries: list[Any], address: str) -> None:
    """Check that *entries* are no more models than anybody can have.

    Raises:
        UpstreamError: They are: each costs time whenever something asks for the list.
    """
    if len(entries) > MAX_MODELS:
        raise UpstreamError(
            f"{address} lists {len(entries)} models: more than {MAX_MODELS} are not taken",
            hint=CHECK_BASE,
        )


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
    if not isinstance(value, str):
        return None
    # No more than it takes: to look through 16 MiB of names for what should not be shown may last.
    return clean(value[: 2 * MAX_NAME_CHARS], max_chars=MAX_NAME_CHARS) or None


def shown(model_id: str) -> str:
    """Return *model_id*, which a server chose, as it may stand in a message."""
    return line(model_id) or "?"


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


def seconds(value: object) -> float:
    """Return *value* if it is a span of time, else 0."""
    try:
        span_s = float(value) if isinstance(value, int | float) else 0.0
    except OverflowError:  # an integer of hundreds of digits
        return 0.0
    return span_s if math.isfinite(span_s) and span_s > 0 else 0.0


def whole_number(value: object) -> int | None:
    """Return *value* if it is a whole number, also one that is written as 3.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(value: object) -> bool | None:
    """Return *value* if it is true or false."""
    return value if isinstance(value, bool) else None
