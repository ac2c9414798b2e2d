"""What LM Studio makes of the body of a request: read, or refused with its own words."""

import json
from typing import Any

from tests.lmstudio import errors
from tests.lmstudio.completion import Request

Json = dict[str, Any]


def json_object(raw: bytes) -> Json:
    """Return the JSON object in *raw*.

    Raises:
        Refused: It is something else.
    """
    try:
        value = json.loads(raw)
    except ValueError as exc:
        raise errors.malformed_json() from exc
    if not isinstance(value, dict):
        raise errors.malformed_json()
    return value


def read_request(body: Json, *, chat: bool) -> Request:
    """Return the chat or the plain completion that *body* asks for; unknown fields are ignored.

    Raises:
        Refused: A field is missing or not supported.
    """
    if chat:
        _check_chat(body)
        prompt = " ".join(_texts(body["messages"]))
    elif isinstance(body.get("prompt"), str):
        prompt = body["prompt"]
    else:
        raise errors.plain("'prompt' field is required")
    return Request(
        model=str(body.get("model", "")),
        prompt_tokens=len(prompt.split()),
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        max_tokens=body.get("max_tokens"),
        suffix=body.get("suffix"),
        ttl_s=body.get("ttl"),
    )


def last_text(body: Json) -> str:
    """Return the last thing that *body* says to the model."""
    texts = _texts(body.get("messages", [])) or [str(body.get("prompt", ""))]
    return texts[-1]


def require(body: Json, name: str, *allowed: str) -> str:
    """Return the text *name* of a body of ``/api/v1``, which refuses all but *allowed* fields.

    Raises:
        Refused: It is missing, or there are other fields.
    """
    unknown = [key for key in body if key not in {name, *allowed}]
    if unknown:
        raise errors.unrecognized_keys(unknown)
    value = body.get(name)
    if not isinstance(value, str):
        raise errors.missing_parameter(name)
    return value


def _check_chat(body: Json) -> None:
    if "messages" not in body:
        raise errors.plain(errors.MESSAGES_REQUIRED)
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(each, dict) for each in messages):
        raise errors.plain("Invalid 'messages' in payload")
    wanted = (body.get("response_format") or {}).get("type", "text")
    if wanted not in {"json_schema", "text"}:
        raise errors.plain(errors.RESPONSE_FORMAT)
    for tool in body.get("tools") or []:
        parameters = tool.get("function", {}).get("parameters")
        if parameters is not None and parameters.get("type") != "object":
            raise errors.stringified_issues()


def _texts(messages: list[Json]) -> list[str]:
    texts: list[str] = []
    for message in messages:
        content = message.get("content") or ""
        parts = [{"text": content}] if isinstance(content, str) else content
        texts.extend(str(part["text"]) for part in parts if "text" in part)
    return texts
