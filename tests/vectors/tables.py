"""Tables of fields, of errors and of limits, from what the code declares. Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from devsynthd.wire.errors import ErrorCode, error_classes
from devsynthd.wire.schema import protocol_schema

Schema = Mapping[str, Any]

COMMON = ("op", "id", "v", "timeout", "sent", "client")
"""The fields of every request, which have a table of their own."""

_HEADED = {"reply": ("type", "id"), "request": COMMON}
_WORDS = {"null": "null", "boolean": "true or false", "object": "map", "string": "text"}


def fields(name: str) -> Iterator[str]:
    """Yield the table of the fields of the definition *name* that others like it have not."""
    schema = protocol_schema()["$defs"][name]
    kind = name.partition(".")[0]
    left_out = _HEADED.get(kind, ())
    shown = {key: told for key, told in schema["properties"].items() if key not in left_out}
    yield from _table(shown, schema.get("required", ()), with_defaults=kind == "request")


def common() -> Iterator[str]:
    """Yield the table of the fields of every request."""
    schema = protocol_schema()["$defs"]["request.ping"]
    told = {key: schema["properties"][key] for key in COMMON}
    told["op"] = {"description": told["op"]["description"], "type": "string"}
    yield from _table(told, schema["required"], with_defaults=True)


def codes() -> Iterator[str]:
    """Yield the table of the codes of errors."""
    yield "| code | retryable | when |"
    yield "|---|---|---|"
    classes = error_classes()
    for code in ErrorCode:
        said = (classes[code].__doc__ or "").partition("\n")[0]
        yield f"| `{code}` | {'yes' if classes[code].retryable else 'no'} | {said} |"


def _table(shown: Schema, required: Any, *, with_defaults: bool) -> Iterator[str]:  # noqa: ANN401 - names
    if not shown:
        return
    yield f"| field | type |{' default |' if with_defaults else ''} meaning |"
    yield f"|---|---|{'---|' if with_defaults else ''}---|"
    for name, told in shown.items():
        default = f" {_default(told, is_required=name in required)} |" if with_defaults else ""
        yield f"| `{name}` | {in_words(told)} |{default} {told['description']} |"


def _default(told: Schema, *, is_required: bool) -> str:
    return "required" if is_required else json.dumps(told["default"])


def in_words(told: Schema) -> str:
    """Return what a field may be, like ``integer (0 to 5) or null``."""
    if choices := told.get("anyOf"):
        return " or ".join(map(in_words, choices))
    if "const" in told:
        return f"`{told['const']}`"
    if "enum" in told:
        return " or ".join(f'`"{value}"`' for value in told["enum"])
    if "$ref" in told:
        name = told["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower().replace('.', '')})"
    return _kind_in_words(told)


def _kind_in_words(told: Schema) -> str:
    kind = str(told.get("type", "any value"))
    if kind == "array":
        span = _span(told.get("minItems"), told.get("maxItems"))
        items = in_words(told["items"]) if told.get("items") else "anything"
        each = f"({items})" if " " in items and not items.startswith("list") else items
        return f"list of {f'{span} ' if span else ''}{each}"
    if kind == "string":
        span = _span(told.get("minLength"), told.get("maxLength"))
        return f"text ({span} characters)" if span else "text"
    if kind in {"integer", "number"}:
        return kind + _bounds(told)
    return _WORDS.get(kind, kind)


def _span(low: int | None, high: int | None) -> str:
    if high is not None:
        return f"{low} to {high}" if low else f"up to {high}"
    return f"{low} or more" if low else ""


def _bounds(told: Schema) -> str:
    low, above, high = (told.get(name) for name in ("minimum", "exclusiveMinimum", "maximum"))
    least = f"above {above}" if low is None else _number(low)
    return "" if high is None else f" ({least} to {_number(high)})"


def _number(number: float) -> str:
    for power in (53, 31):
        if abs(number) == 2**power - 1:
            return f"-(2^{power} - 1)" if number < 0 else f"2^{power} - 1"
    return f"10^{len(str(number)) - 1}" if number >= 10**6 else str(number)
