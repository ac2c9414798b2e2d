"""The free-form fields of ``generate``: bounded before they are built, then JSON text. Pure."""

import json
from typing import Any

import msgspec
from msgspec import Raw

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_FREE_FORM_BYTES, MAX_FREE_FORM_DEPTH
from devsynthd.wire.requests import ABSENT

SHAPES: dict[str, type] = {"logit_bias": dict, "schema": dict, "tools": list, "extra": dict}
"""The free-form fields, and whether each is a map or a list."""

_CONTAINERS = (dict, list)
_NAMES: dict[type, str] = {dict: "a map", list: "a list"}


def json_text(field: str, value: object) -> Raw:
    """Return the JSON text of *value*, which was decoded from the free-form *field*.

    Raises:
        BadRequest: It is not of the field's shape, or has something in it that JSON has not.
    """
    if value is None:
        return ABSENT
    shape = SHAPES[field]
    if not isinstance(value, shape):
        raise BadRequest(f"`{field}` is not {_NAMES[shape]}")
    if _is_deeper(value, MAX_FREE_FORM_DEPTH):
        raise BadRequest(
            f"`{field}` is nested too deeply",
            hint=f"at most {MAX_FREE_FORM_DEPTH} maps and lists may be inside each other",
        )
    try:
        # Not msgspec: it writes null for a NaN, and Base64 for bytes.
        return Raw(json.dumps(value, allow_nan=False, separators=(",", ":")).encode())
    except (TypeError, ValueError) as exc:
        raise BadRequest(f"`{field}` cannot be sent as JSON: {exc}") from exc


def check_size(field: str, raw: Raw) -> None:
    """Check that the free-form *field* is not longer than it may be.

    Raises:
        BadRequest: It is.
    """
    if len(raw) > MAX_FREE_FORM_BYTES:
        raise BadRequest(
            f"`{field}` has {len(raw)} bytes, the limit is {MAX_FREE_FORM_BYTES}",
            hint="only text and images may be large",
        )


def value_of(text: Raw) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what the JSON text of a free-form field says; ``None`` if it is not given."""
    return None if text is ABSENT else msgspec.json.decode(text)


def _is_deeper(value: object, depth: int) -> bool:
    """Return whether more than *depth* maps and lists are inside each other in *value*."""
    level: list[Any] = [value]  # not by recursion, which would have a limit of its own
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _CONTAINERS)
        ]
        if not level:
            return False
    return True
