"""The JSON Schema of every message, from the structs of the protocol. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import msgspec
from msgspec import Struct

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.events import NEWS_TYPES
from devsynthd.wire.freeform import SHAPES
from devsynthd.wire.limits import MAX_FREE_FORM_BYTES, MAX_FREE_FORM_DEPTH, PROTOCOL_VERSION
from devsynthd.wire.meanings import MEANINGS
from devsynthd.wire.replies import ReceivedReply
from devsynthd.wire.requests import REQUEST_TYPES, Generate
from devsynthd.wire.results import RESULT_TYPES

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_GENERATE: type[Struct] = msgspec.defstruct(
    "Generate",
    [(name, shape | None, None) for name, shape in SHAPES.items()],
    bases=(Generate,),
    namespace={"__doc__": Generate.__doc__},
    frozen=True,
    kw_only=True,
    tag="generate",
)
"""The free-form fields as what they hold: msgspec cannot describe a ``Raw``."""

_REQUEST_TYPES: dict[str, type[Struct]] = {**REQUEST_TYPES, "generate": _GENERATE}
_REPLY_TYPES: dict[str, type[Struct]] = {
    str(cls.__struct_config__.tag): cls for cls in get_args(ReceivedReply)
}
_NAMES = {"Warn": "Warning", "RequestInfo": "Request", "Source": "Source"}
"""Names of objects that differ from their structs', or would be that of a message."""

_ABOUT = f"""\
Version {PROTOCOL_VERSION} of the protocol. The messages are in $defs, under names that stay:
request.OP, as request.list: what a client sends, by its field op; request is any of them.
reply.TYPE, as reply.chunk: what the daemon sends, by its field type; reply is any of them.
result.OP, as result.list: the field result of a reply.result, by the op that it answers.
event.TOPIC, as event.models: the field data of a reply.event, by its field topic.
All else there are their parts. Requests are closed: a field that is not here is refused. Replies
are open: skip the fields that you do not know."""

_DESCRIPTIONS = {
    "request.generate": "Ask for one answer: reply.chunk as it comes if stream is true, and in any"
    " case one reply.result.",
    "request.subscribe": "Ask for a reply.event whenever something changes, until this request is"
    " cancelled. The first one of each topic but log tells how everything is now.",
    "reply.result": "The request succeeded, and has ended.",
    "reply.event": "News of a topic.",
    "reply.error": "The request failed, and has ended.",
    "event.config": "Settings in force, or whether the config file is valid, have changed.",
    "event.requests": "Requests that have begun, gone on or ended.",
    "event.log": "A line of the daemon's log.",
}
"""Where the docstring of a struct speaks to those who program with it here."""


def protocol_schema() -> Schema:
    """Return one JSON Schema for all messages; its description says where each is."""
    requests = {f"request.{op}": cls for op, cls in _REQUEST_TYPES.items()}
    replies = {f"reply.{name}": cls for name, cls in _REPLY_TYPES.items()}
    results = {f"result.{op}": cls for op, cls in RESULT_TYPES.items()}
    events = {f"event.{topic}": cls for topic, cls in NEWS_TYPES.items()}
    structs: dict[str, type[Struct]] = {**requests, **replies, **results, **events}
    names = _component_names(structs)
    _, components = msgspec.json.schema_components(structs.values(), ref_template="#/$defs/{name}")
    named = {
        names.get(name, name): _told(names.get(name, name), schema, _meanings_of(name), names)
        for name, schema in components.items()
    }
    aliases = {
        name: {"$ref": _place(names[cls.__name__])}
        for name, cls in structs.items()
        if name not in named
    }
    named["reply.event"]["allOf"] = [_when(topic, f"event.{topic}") for topic in NEWS_TYPES]
    return {
        "$schema": DRAFT,
        "title": "The protocol of devsynthd",
        "description": _ABOUT,
        "anyOf": [{"$ref": _place("request")}, {"$ref": _place("reply")}],
        "$defs": {
            "request": _any_of(requests),
            "reply": _any_of(replies),
            **{name: (named | aliases)[name] for name in structs},
            **{name: schema for name, schema in named.items() if name not in structs},
        },
    }


def _component_names(structs: Mapping[str, type[Struct]]) -> dict[str, str]:
    """Return the name in ``$defs`` by that of the struct; one that is several keeps the first."""
    names = dict(_NAMES)
    for name, cls in structs.items():
        names.setdefault(cls.__name__, name)
    return names


def _meanings_of(struct: str) -> dict[str, str]:
    """Return what the fields of *struct*, a struct's name, mean."""
    own = MEANINGS.get(struct, {})
    if struct in {cls.__name__ for cls in _REQUEST_TYPES.values()}:
        return MEANINGS["Request"] | own
    if struct in {cls.__name__ for cls in _REPLY_TYPES.values()}:
        return MEANINGS["Reply"] | own
    return own


def _told(
    name: str, schema: Schema, meanings: Mapping[str, str], names: Mapping[str, str]
) -> Schema:
    """Return the *schema* of a struct as *name*, its fields with their *meanings*."""
    told: Schema = {"title": name, "description": _description(name, schema)}
    told |= {key: value for key, value in _plain(schema, names).items() if key not in told}
    fields = told.get("properties", {})
    for field, meaning in meanings.items():
        if field in fields:
            fields[field] = {"description": meaning, **fields[field]}
    if name.startswith("request."):
        fields["v"] |= {"const": PROTOCOL_VERSION}
    if name == "request.generate":
        for field in SHAPES:
            fields[field]["$comment"] = (
                f"At most {MAX_FREE_FORM_BYTES} bytes, and {MAX_FREE_FORM_DEPTH} maps and lists"
                " inside each other."
            )
    if name == "ErrorInfo":
        fields["code"]["examples"] = [str(code) for code in ErrorCode]
    return told


def _description(name: str, schema: Schema) -> str:
    text = _DESCRIPTIONS.get(name) or str(schema.get("description", ""))
    return re.sub(r"\s+", " ", re.sub(r"``(.*?)``|\*(\w+)\*", r"\1\2", text)).strip()


def _plain(schema: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - any part of a schema
    """Return *schema* with its references by *names*, and whole numbers as integers."""
    if isinstance(schema, list | tuple):
        parts = [_plain(part, names) for part in schema]
        return [part for at, part in enumerate(parts) if part not in parts[:at]]
    if not isinstance(schema, dict):
        return int(schema) if isinstance(schema, float) and schema.is_integer() else schema
    plain = {key: _plain(value, names) for key, value in schema.items()}
    if plain.get("multipleOf") == 1:
        del plain["multipleOf"]
        plain["type"] = "integer"  # in JSON Schema 16.0 is one
    if "$ref" in plain:
        name = str(plain["$ref"]).removeprefix("#/$defs/")
        plain["$ref"] = _place(names.get(name, name))
    return plain


def _any_of(names: Iterable[str]) -> Schema:
    return {"anyOf": [{"$ref": _place(name)} for name in names]}


def _when(topic: str, name: str) -> Schema:
    return {
        "if": {"properties": {"topic": {"const": topic}}},
        "then": {"properties": {"data": {"$ref": _place(name)}}},
    }


def _place(name: str) -> str:
    return f"#/$defs/{name}"
