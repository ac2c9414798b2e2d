"""Error bodies: LM Studio has half a dozen forms, and the status does not tell which.

==== ======================================================= ========================== ==========
form body                                                    where                      status
==== ======================================================= ========================== ==========
E1   ``{"error": "Unexpected endpoint or method. (...)"}``   any unknown route          **200**
E2   ``{"error": "<text>"}``                                 ``/v1``, ``/api/v0``       400
E3   ``{"error": {message, type, param, code}}``             ``/v1``, ``/api/v0``       400, 404
E4   ``{"error": {type, message, code?, param?}}``           ``/api/v1``; tokens: all   4xx, 5xx
E5   ``{"error": "<text that is a JSON array>"}``            bad ``tools``              400
E6   an ``error`` in an event of a stream                    ``/v1``, ``/api/v0``       200
==== ======================================================= ========================== ==========

The texts are those that were seen in the field, as far as anybody wrote them down.
"""

import json
from typing import Any

from tests.lmstudio.paths import Generation
from tests.lmstudio.world import Refusal

Body = dict[str, Any]

NO_MODELS_LOADED = (
    "No models loaded. Please load a model in the developer page or use the 'lms load' command."
)
OVERFLOW_OLD = "Trying to keep the first {n_keep} tokens when context the overflows."
OVERFLOW = (
    "The number of tokens to keep from the initial prompt is greater than the context length "
    "(n_keep: {n_keep}>= n_ctx: {n_ctx}). Try to load the model with a larger context length, or "
    "provide a shorter input."
)
CONTEXT_FULL = "Context size has been exceeded."
CRASHED = "The model has crashed without additional information. (Exit code: null)"
RELOADED = "Model reloaded."
UNLOADED_BEFORE = "Model is unloaded."
CHANNEL_ERROR = "Channel Error"
OPERATION_CANCELED = "Operation canceled."
INSUFFICIENT_RESOURCES = (
    "Model loading was stopped due to insufficient system resources. Continuing to load the model "
    "would likely overload your system and cause it to freeze."
)
TEMPLATE = (
    'Error rendering prompt with jinja template: "No user query found in messages.".'
    " This is usually an issue with the model's prompt template."
)
RESPONSE_FORMAT = "'response_format.type' must be 'json_schema' or 'text'"
MESSAGES_REQUIRED = "'messages' field is required"


class Refused(Exception):
    """A request is answered with an error. Pieces that decide raise it; ``api`` writes it."""

    def __init__(self, status: int, body: Body | bytes) -> None:
        super().__init__(status, body)
        self.status, self.body = status, body


def unexpected_endpoint(method: str, path: str) -> Refused:
    """E1: no such route, and "returning 200 anyway", as the app's log puts it."""
    return Refused(200, {"error": f"Unexpected endpoint or method. ({method} {path})"})


def plain(text: str, status: int = 400) -> Refused:
    """E2: a text."""
    return Refused(status, {"error": text})


def object_error(message: str, code: str | None = None, status: int = 400) -> Refused:
    """E3: OpenAI's error object; LM Studio has it for what concerns the choice of a model."""
    kind = "invalid_request_error"
    error = {"message": message, "type": kind, "param": "model", "code": code}
    return Refused(status, {"error": error})


def native(
    kind: str, message: str, *, status: int = 400, code: str | None = None, param: str | None = None
) -> Refused:
    """E4: the object of ``/api/v1``."""
    error = {"type": kind, "message": message}
    if code is not None:
        error["code"] = code
    if param is not None:
        error["param"] = param
    return Refused(status, {"error": error})


def missing_parameter(name: str) -> Refused:
    """E4: a field of ``/api/v1`` is not there."""
    code = "missing_required_parameter"
    return native("invalid_request", f"'{name}' is required", code=code, param=name)


def unrecognized_keys(names: list[str]) -> Refused:
    """E4: ``/api/v1`` refuses fields that it does not know; ``/v1`` ignores them."""
    text = "Unrecognized key(s) in object: " + ", ".join(f"'{name}'" for name in names)
    return native("invalid_request", text, code="unrecognized_keys")


def stringified_issues(message: str = 'Invalid literal value, expected "object"') -> Refused:
    """E5: what a validator found wrong, as JSON inside the text."""
    path = ["tools", 0, "function", "parameters", "type"]
    issues = [{"code": "invalid_literal", "expected": "object", "path": path, "message": message}]
    return plain(json.dumps(issues, indent=2))


def bad_token(authorization: str | None) -> Refused:
    """E4, status 401: the text repeats the start of what was offered, so it is not for logs."""
    if not authorization:
        text = (
            "An LM Studio API token is required to make requests to this server, but none was "
            "provided using the Authorization header (Authorization: Bearer $LM_API_TOKEN)."
        )
    else:
        offered = authorization.removeprefix("Bearer ")
        text = f"Malformed LM Studio API token provided: {offered[:8]}***. Check the token."
    return native("invalid_request", text, status=401, code="invalid_api_key")


def forbidden(text: str = "Permission denied to use this endpoint.") -> Refused:
    """E4, status 403: the token is good, but not for this. The exact body is not known."""
    return native("invalid_request", text, status=403)


def malformed_json() -> Refused:
    """Answer a body that is no JSON: with a page, if anything at all. Not confirmed."""
    return Refused(400, b"<!DOCTYPE html>\n<title>Error</title>\n<pre>Bad Request</pre>\n")


def load_failed(name: str, reason: str, generation: Generation) -> Refused:
    """E3: loading just in time did not work; the status changed from 404 to 400."""
    text = f'Failed to load model "{name}". Error: {reason}'
    return object_error(text, "model_not_found", 404 if generation == "openai" else 400)


def no_model(name: str, refusal: Refusal, known: list[str], generation: Generation) -> Refused:
    """E3: nobody answers to *name*."""
    if refusal is Refusal.NOTHING_LOADED:
        return object_error(NO_MODELS_LOADED, None, 404 if generation == "openai" else 400)
    if refusal is Refusal.WRONG_KIND:
        return load_failed(name, "Model does not support this endpoint.", generation)
    there = "".join(f"\n- {key}" for key in known)
    text = f'Model "{name}" not found. Please specify a valid model.\nYour models are:\n{there}'
    return object_error(text, "model_not_found", 404)
