"""What the log says about requests: how each one ended, and at ``debug`` what it was about."""

import logging

from devsynthd.host.redaction import Excerpt
from devsynthd.service.call import Call, Client
from devsynthd.wire.errors import DevsynthError, ErrorCode
from devsynthd.wire.objects import RequestInfo
from devsynthd.wire.requests import (
    ConfigSet,
    Download,
    Embed,
    Generate,
    Load,
    Message,
    Reload,
    Request,
    Select,
    Shutdown,
    Unload,
)
from devsynthd.wire.results import AnyResult, Completion, Embeddings, PackedEmbeddings

logger = logging.getLogger(__name__)

_WORTH_A_LINE: frozenset[type[Request]] = frozenset(
    {Generate, Embed, Load, Unload, Download, Select, ConfigSet, Reload, Shutdown}
)
"""What changes something, or costs something. The others come by the thousand."""

_MAY_QUOTE = frozenset({ErrorCode.BAD_REQUEST, ErrorCode.INTERNAL})
"""Errors whose text may have something of the request in it."""


def log_begun(call: Call) -> None:
    """Log, at ``debug``, how the prompt of *call* begins."""
    request = call.request
    if isinstance(request, Generate) and logger.isEnabledFor(logging.DEBUG):
        fields = {**call.fields, "prompt": Excerpt(_asked(request))}
        logger.debug("a prompt", extra={"fields": fields})


def log_ended(call: Call, result: AnyResult | None) -> None:
    """Log how *call*, which has just been answered, has ended; *result* null: with an error."""
    level = logging.INFO if type(call.request) in _WORTH_A_LINE else logging.DEBUG
    if not logger.isEnabledFor(level) or call.client.is_own:
        return
    info = call.info(None)
    if info.error is not None and info.error.code == ErrorCode.SHUTTING_DOWN:
        level = logging.DEBUG  # clients ask it many times a second, until the next daemon is there
    fields = {**call.fields, "state": info.state}
    if info.timing is not None:
        fields["total_s"] = round(info.timing.total_s, 3)
    if (tokens := _tokens(result)) is not None:
        fields["tokens"] = tokens
    if info.error is not None:
        fields["error"] = str(info.error.code)
    logger.log(level, "%s", ending(info), extra={"fields": fields})
    if logger.isEnabledFor(logging.DEBUG):
        if call.text:
            fields = {**call.fields, "answer": Excerpt(str(call.text))}
            logger.debug("an answer", extra={"fields": fields})
        if call.error is not None:
            fields = {**call.fields, "error": Excerpt(call.error.message)}
            logger.debug("an error", extra={"fields": fields})


def log_refused(client: Client, error: DevsynthError) -> None:
    """Log, at ``debug``, that a message of *client* was no request that can be worked on."""
    if logger.isEnabledFor(logging.DEBUG):
        fields = {"client_pid": client.pid, "error": str(error.code)}
        logger.debug("a request was refused: %s", error, extra={"fields": fields})


def ending(info: RequestInfo) -> str:
    """Return how a request ended, for people, without a word of its prompt or answer."""
    how = f"{info.op} {info.state}"
    if info.error is None or info.error.code in _MAY_QUOTE:
        return how
    return f"{how}: {info.error.message}"


def _asked(request: Generate) -> str:
    """Return what *request* asks: its prompt, else what was said last."""
    if request.prompt is not None:
        return request.prompt
    return _said(request.messages[-1]) if request.messages else ""


def _said(message: Message) -> str:
    match message.content:
        case str() as text:
            return text
        case list() as parts:
            return " ".join(part.text for part in parts if part.text)
        case _:
            return ""


def _tokens(result: AnyResult | None) -> int | None:
    """Return how many tokens *result* took to make, where the upstream has counted them."""
    match result:
        case Completion(usage=usage) if usage is not None:
            return usage.completion_tokens
        case Embeddings(usage=usage) | PackedEmbeddings(usage=usage) if usage is not None:
            return usage.prompt_tokens
        case _:
            return None
