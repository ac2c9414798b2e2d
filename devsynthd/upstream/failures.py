"""What a failure of an upstream means: bodies and exceptions in, the protocol's errors out."""

import json
import re
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.fill_in import WRITE_THE_TOKENS
from devsynthd.wire.errors import (
    ContextOverflow,
    DevsynthError,
    Incomplete,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    NotSupported,
    UpstreamAuth,
    UpstreamError,
    UpstreamUnavailable,
)

_SAID_OF_A_REQUEST = (501, 505)
"""What a server answers that knows no such requests, like one of plain files."""

CHECK_BASE = "Check llm_api_base: for most servers it ends in /v1, like http://localhost:1234/v1."
MAX_SAID_BYTES = 2**20
"""As much of a body is looked at for what it says."""

MAX_MATCHED_CHARS = 4096
"""As much of a message is looked at for what it means: to search more takes seconds."""

CONTEXT_HINT = "Shorten the prompt or its context, or load the model with a larger context length."


class ModelGone(UpstreamError):
    """The model went away under the request, which is over soon: asked again, it may be back."""


class _Kind(Struct, frozen=True):
    """A family of errors: how to tell it, and what to say of it before the server's own words."""

    error: type[DevsynthError]
    pattern: re.Pattern[str]
    says: str
    hint: str


# The first that fits wins: "Failed to load model x: model not found" is a failed load.
_KINDS = (
    _Kind(
        ContextOverflow,
        re.compile(
            r"trying to keep the first|tokens to keep from the initial prompt"
            r"|context size has been exceeded|exceeds? the available context"
            r"|context_length_exceeded|exceed_context_size|maximum context length"
            r"|prompt is too long|exceeds? the context (window|length|size)"
        ),
        "the prompt does not fit the model's context",
        CONTEXT_HINT,
    ),
    _Kind(
        NoModel,
        re.compile(r"\bno models? (is |are )?(currently )?loaded"),
        "no model is loaded and the server did not load one",
        "Load one: devsynthctl load MODEL. Or switch on just-in-time loading in LM Studio's server"
        " settings.",
    ),
    _Kind(
        UpstreamUnavailable,
        re.compile(r"^503\b.*\bloading model"),
        "the server is still loading its model",
        "Wait until it is ready, or give the request some seconds to wait.",
    ),
    _Kind(
        ModelLoadFailed,
        re.compile(
            r"model_load_failed|failed to load (the )?model|error loading model"
            r"|model loading (was stopped|aborted)|insufficient system resources"
        ),
        "the model could not be loaded",
        "Unload other models or choose a smaller one; the server's own log says more.",
    ),
    _Kind(
        ModelGone,
        re.compile(r"\bmodel (is |has )?unloaded\b|\bmodel reloaded\b|\bthe model has crashed\b"),
        "the model went away",
        "Ask again. If it happens often, the server's own log may say why.",
    ),
    _Kind(
        NotSupported,
        re.compile(
            r"\binfill is not supported|does not support insert"
            r"|\bsuffix is not (currently )?supported"
        ),
        "it does not fill in the middle with this model",
        WRITE_THE_TOKENS,
    ),
    _Kind(
        NotSupported,
        re.compile(r"not_supported_error|does not support embeddings"),
        "that is not supported there",
        "Choose a model, or a server, that can do it.",
    ),
    _Kind(
        ModelNotFound,
        re.compile(r"model_not_found|\bmodel\b.{0,1100}?(not found|does not exist|is unknown)"),
        "the server does not have the model",
        "List the models to see what there is.",
    ),
    _Kind(
        UpstreamError,
        re.compile(r"unexpected endpoint or method"),
        "the server does not know this address",
        CHECK_BASE,
    ),
)


class _Problem(Struct, frozen=True):
    """What an error body says: its text, and the codes and types that it gives."""

    message: str
    codes: str = ""


def failure_of(
    status: int,
    content_type: str,
    body: bytes,
    *,
    address: str,
    secrets: Iterable[str] = (),
) -> DevsynthError:
    """Return what an answer means that is an error or no answer of the API at all.

    The body decides before *status*: LM Studio answers unknown paths with 200 and an error.
    *secrets* are kept out of it; the first one is the API key, "" if there is none.
    *details* of the result hold ``status`` and the server's cleaned ``message``; neither for
    refused keys, since those bodies repeat a part of the key.
    """
    secrets, body = tuple(secrets), body[:MAX_SAID_BYTES]
    problem = _problem_in(loads(body), status)
    if status in {401, 403} or (problem is not None and "invalid_api_key" in problem.codes):
        return _refused(status, address, has_key=any(secrets[:1]))
    if problem is None:
        return _not_the_api(status, content_type, body, address, secrets)
    message = clean(problem.message, secrets) or "no reason given"
    details = {"status": status, "message": message}
    text = f"{status} {problem.codes} {problem.message}"[:MAX_MATCHED_CHARS].lower()
    for kind in _KINDS:
        if kind.pattern.search(text):
            return kind.error(f"{address}: {kind.says}: {message}", hint=kind.hint, details=details)
    # With a status of success, or in the middle of an answer, there is none to tell.
    told = f" (status {status})" if status >= 400 else ""  # noqa: PLR2004 - HTTP
    return UpstreamError(
        f"{address} answered with an error{told}: {message}",
        hint="The server's own log may say more.",
        details=details,
    )


def incomplete(cause: DevsynthError) -> Incomplete:
    """Return what *cause* is called once a part of the answer has been handed on."""
    return Incomplete(
        f"the answer broke off: {cause}", hint=cause.hint, details={"cause": str(cause.code)}
    )


def final(gone: ModelGone) -> UpstreamError:
    """Return the error for a request that was sent twice already: nobody is to try it again."""
    return UpstreamError(str(gone), hint=gone.hint, details=gone.details)


def loads(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the value of the JSON text *body*, or ``None`` if it is none.

    Halves of surrogate pairs, which msgspec refuses, are taken as they are.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def dumps(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    """Return the JSON text of *value*, which was read; "..." if it is nested too deeply for that.

    Reading gets a little deeper than writing does.
    """
    try:
        return json.dumps(value)
    except RecursionError:
        return "..."


def has_error(value: Any) -> bool:  # noqa: ANN401 - JSON is anything
    """Whether the JSON *value* is an error, whatever the status that it came with."""
    return isinstance(value, dict) and bool(value.get("error") or value.get("object") == "error")


def _problem_in(value: Any, status: int) -> _Problem | None:  # noqa: ANN401 - JSON is anything
    if not isinstance(value, dict) or not (has_error(value) or status >= 400):  # noqa: PLR2004 - HTTP
        return None
    error = value.get("error") or value
    if isinstance(error, str):
        return _Problem(_joined(error))
    if not isinstance(error, dict):
        return _Problem(dumps(error))
    codes = " ".join(str(error[key]) for key in ("code", "type") if error.get(key))
    for key in ("message", "error_message", "detail"):
        text = error.get(key)
        if isinstance(text, str) and text:
            return _Problem(_joined(text), codes)
    return _Problem(dumps(error), codes)


def _joined(text: str) -> str:
    """Return the messages of a list of validation issues, or *text* if it is not one."""
    issues = loads(text.encode(errors="replace")) if text.lstrip().startswith("[") else None
    if not isinstance(issues, list):
        return text
    messages = [issue.get("message") for issue in issues if isinstance(issue, dict)]
    return "; ".join(message for message in messages if isinstance(message, str)) or text


def _refused(status: int, address: str, *, has_key: bool) -> UpstreamAuth:
    if has_key:
        return UpstreamAuth(
            f"{address} does not accept the API key (status {status})",
            hint="Set llm_api_key to a key of that server.",
        )
    return UpstreamAuth(
        f"{address} wants an API key and none is set (status {status})",
        hint="Set llm_api_key, or switch off 'Require Authentication' in LM Studio.",
    )


def _not_the_api(
    status: int, content_type: str, body: bytes, address: str, secrets: tuple[str, ...]
) -> UpstreamError:
    message = ""
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP
        got = "a redirect, which is not followed"
    elif not body.strip():
        got = "an empty body"
    elif "html" in content_type.lower() or body.lstrip().startswith(b"<"):
        got = "an HTML page"
    elif loads(body) is not None:
        got = "JSON that is no answer of the API"
    else:
        got = "text that is not JSON"
        message = clean(body.decode(errors="replace"), secrets)
    if status >= 500 and status not in _SAID_OF_A_REQUEST:  # noqa: PLR2004 - HTTP
        said = f": {message}" if message else f" and {got}"
        return UpstreamError(
            f"{address} failed with status {status}{said}",
            hint="The server's own log, or that of a proxy before it, may say more.",
            details={"status": status, "message": message},
        )
    return UpstreamError(
        f"{address} is not the API of a language model server:"
        f" it answered with status {status} and {got}",
        hint=CHECK_BASE,
        details={"status": status, "message": message},
    )
