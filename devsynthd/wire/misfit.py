"""Why a request that can be read is not in the protocol: what came, and what is allowed. Pure."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import REQUEST_TYPES

Read = Callable[[bytes | msgspec.Raw, Any], Any]
"""Decodes as a type, in the encoding of the request: ``...`` where that cannot be done."""

# What msgspec says, which is the only place where it tells which field is wrong.
_PLACE = re.compile(r"(.*) - at `\$([\w.\[\]]*)`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(\w+)`")
_LENGTH = re.compile(r"Expected `\w+` of length ([<>])= \d+")
_GOT = re.compile(r"Expected `.+`, got `(\w+)`")
_SHOWN_KINDS = {"int", "float", "bool"}
_KINDS = {
    "str": "a text",
    "array": "a list",
    "object": "a map",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "bytes": "bytes",
    "ext": "an extension type of MessagePack",
    "null": "null",
    "None": "null",  # in MessagePack
}

_MAX_SHOWN_CHARACTERS = 60
_MAX_NAME_CHARACTERS = 64
_MAX_SCALAR_BYTES = 1024
_MAX_LIST_BYTES = 256 * 1024  # a longer list is not taken apart just to tell what is in it


def misfit(fault: Exception, op: object, body: bytes, read: Read) -> BadRequest:
    """Return what is wrong with *body*, a map whose field ``op`` is *op*.

    *fault* is why it could not be decoded.
    """
    ops = f"ops: {', '.join(REQUEST_TYPES)}"
    if op is None:
        return BadRequest("the request has no `op`", hint=ops)
    if not isinstance(op, str):
        return BadRequest("`op` is not a string", hint=ops)
    struct = REQUEST_TYPES.get(op)
    if struct is None:
        close = nearest(op[:_MAX_NAME_CHARACTERS], REQUEST_TYPES)
        return BadRequest(
            f"unknown op `{op[:_MAX_NAME_CHARACTERS]}`",
            hint=f"did you mean `{close}`?" if close else ops,
        )
    return _field_misfit(fault, op, struct, body, read)


def scalar(raw: msgspec.Raw, read: Read) -> Any:  # noqa: ANN401 - a value of any kind
    """Return the value of *raw*, and ``...`` where it is long or cannot be read."""
    return read(raw, Any) if len(raw) <= _MAX_SCALAR_BYTES else ...


def _field_misfit(
    fault: Exception, op: str, struct: type[msgspec.Struct], body: bytes, read: Read
) -> BadRequest:
    # It takes a millisecond to import, so only where somebody makes a mistake.
    from devsynthd.wire.allowed import field_names, in_words, takes_words, type_at  # noqa: PLC0415

    place = _PLACE.fullmatch(str(fault))
    said, path = place.groups() if place else (str(fault), "")
    steps = [name or int(position) for name, position in _STEP.findall(path)]
    if missing := _MISSING_FIELD.fullmatch(said):
        steps.append(missing[1])
    declared = type_at(struct, steps)
    if declared is None or not isinstance(fault, msgspec.ValidationError):
        return BadRequest(f"`{op}`: {fault}")
    if unknown := _UNKNOWN_FIELD.fullmatch(said):
        owner = f"`{_written(steps)}` of `{op}`" if steps else f"`{op}`"
        return _unknown_field(unknown[1], owner, field_names(declared))
    if not steps:
        return BadRequest(f"`{op}`: {fault}")
    if missing:
        came = "is missing"
    else:
        raw = _raw_at(body, steps, read)
        value = ... if raw is None else scalar(raw, read)
        came = _what_came(said, value, is_word=takes_words(declared))
    return BadRequest(f"`{op}`: `{_written(steps)}` {came}; allowed: {in_words(declared)}")


def _unknown_field(name: str, owner: str, known: Sequence[str]) -> BadRequest:
    close = nearest(name[:_MAX_NAME_CHARACTERS], known)
    return BadRequest(
        f"unknown field `{name[:_MAX_NAME_CHARACTERS]}` in {owner}",
        hint=f"did you mean `{close}`?" if close else f"fields: {', '.join(known)}",
    )


def _what_came(said: str, value: object, *, is_word: bool) -> str:
    """Return what is wrong, like ``is 3``. Texts are told only where there are words to choose."""
    if length := _LENGTH.fullmatch(said):
        return "is too long" if length[1] == "<" else "is too short"
    got = _GOT.fullmatch(said)
    if got is not None and (got[1] not in _SHOWN_KINDS or value is ...):
        return f"is {_KINDS.get(got[1], 'something else')}"
    if isinstance(value, bool):
        return f"is {str(value).lower()}"
    if isinstance(value, int | float):
        return f"is {_cut(str(value))}"
    if is_word and isinstance(value, str) and len(value) <= _MAX_SHOWN_CHARACTERS:
        return f"is {value!r}"
    return "is something else"


def _raw_at(body: bytes, steps: Sequence[str | int], read: Read) -> msgspec.Raw | None:
    """Return what stands at the end of the path *steps*, if that can be found out cheaply."""
    found = msgspec.Raw(body)
    for step in steps:
        if isinstance(step, str):
            # A struct of one field: all others are skipped, however many there are.
            holder = read(found, msgspec.defstruct("Holder", [(step, msgspec.Raw)]))
            inner = getattr(holder, step, None)
        else:
            items = read(found, list[msgspec.Raw]) if len(found) <= _MAX_LIST_BYTES else ...
            inner = items[step] if isinstance(items, list) and step < len(items) else None
        if inner is None:
            return None
        found = inner
    return found


def _written(steps: Sequence[str | int]) -> str:
    """Return the path *steps* as in a program: ``messages[2].role``."""
    written = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return written.removeprefix(".")


def _cut(text: str) -> str:
    is_short = len(text) <= _MAX_SHOWN_CHARACTERS
    return text if is_short else f"{text[: _MAX_SHOWN_CHARACTERS - 3]}..."
