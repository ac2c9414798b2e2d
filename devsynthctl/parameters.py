"""The parameters of a generation that are given as ``-o KEY=VALUE``. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from devsynthctl.generation_request import packed
from devsynthctl.parameter_keys import KEYS
from devsynthd.wire.codec import DECODE_ERRORS
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import SHAPES
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import Generate

EXTRA = "extra."
"""What a parameter begins with that is passed to the server as it is."""

OTHERWISE = {
    "prompt": "the prompt itself is PROMPT",
    "messages": "a file of messages is given by -c",
    "system": "it is given by -s",
    "raw": "it is given by --raw",
    "suffix": "it is given by --suffix",
    "model": "it is given by -m",
    "max_tokens": "it is given by --max-tokens",
    "temperature": "it is given by --temperature",
    "schema": "it is given by --schema",
    "wait": "it is given by --wait",
    "background": "it is given by --background",
    "stream": "every answer is streamed, but with --no-stream",
    "timeout": "it is given by --timeout, before the name of the command",
}
"""How to give what ``-o`` does not take."""

_TYPES = {field.name: field.type for field in msgspec.structs.fields(Generate)}
_MAX_SHOWN_CHARACTERS = 60
_HINTS = {
    "logit_bias": "a JSON object of numbers by token, as in -o 'logit_bias={\"15043\": -100}'",
    "stop": "a text, or a JSON list of texts; -o stop=TEXT may be repeated",
    "tools": 'a JSON list, as in -o tools="$(cat tools.json)"',
    "tool_choice": "auto, none, required, or a JSON object in OpenAI form",
}


def generate_fields(assignments: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a generation that *assignments*, each a ``KEY=VALUE``, set.

    A value is JSON where it can be read as that, else text. Of several for one key the last one
    counts, but those of ``stop`` add up. `EXTRA` keys make the field ``extra``.

    Raises:
        BadRequest: A key is not known, or its value is not allowed; it names the key.
    """
    fields: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise BadRequest(
                f"-o {assignment} has no value", hint="it takes KEY=VALUE, as in -o top_p=0.9"
            )
        if key.startswith(EXTRA) and key != EXTRA:
            fields.setdefault("extra", {})[key.removeprefix(EXTRA)] = _value(text)
        elif key == "stop":
            fields["stop"] = fields.get("stop", []) + _stops(text)
        elif key in KEYS:
            fields[key] = _value(text)
        else:
            raise _unknown(key)
    for key, value in fields.items():
        _check(key, value)
    return fields


def _value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (*DECODE_ERRORS, UnicodeEncodeError):
        return text


def _stops(text: str) -> list[object]:
    """Return the texts that one ``stop`` gives: a number, say, is itself a text."""
    match _value(text):
        case list() as several:
            return several
        case str() as one:
            return [one]
        case _:
            return [text]


def _check(key: str, value: object) -> None:
    hint = _HINTS.get(key)
    if key in SHAPES:
        try:
            packed(key, value)
        except BadRequest as exc:
            raise BadRequest(f"-o {key}: {exc}", hint=exc.hint or hint) from exc
        return
    try:
        msgspec.convert(value, _TYPES[key])
    except msgspec.ValidationError as exc:
        # Only a mistake pays for it.
        from devsynthd.wire.allowed import in_words, type_at  # noqa: PLC0415

        declared = type_at(Generate, [key])
        allowed = f": it takes {in_words(declared)}" if declared else ""
        shown = msgspec.json.encode(value).decode()[:_MAX_SHOWN_CHARACTERS]
        raise BadRequest(f"-o {key} = {shown} is not allowed{allowed}", hint=hint) from exc


def _unknown(key: str) -> BadRequest:
    as_it_is = f"what only the server knows is passed to it by -o {EXTRA}NAME=VALUE"
    if key in OTHERWISE:
        return BadRequest(f"-o does not take {key}", hint=OTHERWISE[key])
    if key in ("extra", EXTRA):
        return BadRequest(f"-o does not take {key} without a name", hint=as_it_is)
    near = nearest(key, (*KEYS, *OTHERWISE))
    known = f"did you mean {near}?" if near else f"it takes {', '.join(KEYS)}"
    return BadRequest(f"-o does not know {key!r}: {known}", hint=as_it_is)
