"""Whether messages are what the JSON Schema of the protocol says."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from devsynthd.wire.schema import protocol_schema


@cache
def validator(name: str) -> Draft202012Validator:
    """Return what validates the definition *name*, as ``reply.chunk``."""
    schema = protocol_schema()
    schema["anyOf"] = [{"$ref": f"#/$defs/{name}"}]
    return Draft202012Validator(schema)


class Conformity:
    """Follows one connection, so that it knows what a result answers."""

    def __init__(self) -> None:
        self._ops: dict[object, str] = {}

    def sent(self, request: Mapping[str, Any]) -> bool:
        """Note *request*; return whether the schema takes it."""
        self._ops.setdefault(request.get("id"), request["op"])
        return validator("request").is_valid(request)

    def received(self, reply: Mapping[str, Any]) -> None:
        """Check *reply*, and what is in it.

        Raises:
            ValidationError: The schema does not take it.
        """
        validator("reply").validate(reply)
        validator(f"reply.{reply['type']}").validate(reply)
        if reply["type"] == "result":
            validator(f"result.{self._ops[reply['id']]}").validate(reply["result"])
        if reply["type"] == "event":
            validator(f"event.{reply['topic']}").validate(reply["data"])
