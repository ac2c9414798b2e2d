"""What goes wrong in the field, for the next requests: ``studio.next_fault(crashed(), path=CHAT)``.

A fault takes the good reply and returns another. Any reply of ``tests.support.upstream_replies`` is
one by ``instead(...)``.
"""

import asyncio
from collections.abc import Sequence

from tests.lmstudio import errors
from tests.lmstudio.api import send_refusal
from tests.lmstudio.completion import Head
from tests.lmstudio.errors import Refused
from tests.lmstudio.script import Fault
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import Reply, html, silence

_HEAD = Head(id="chatcmpl-fault", created=1747835957, model="simulated", chat=True)


def instead(reply: Reply) -> Fault:
    """Do *reply*, and nothing of the good one."""
    return lambda _: reply


def refuse(refused: Refused) -> Fault:
    """Answer with one of the bodies of ``errors``."""

    async def reply(exchange: Exchange) -> None:
        await send_refusal(exchange, refused)

    return instead(reply)


def unexpected_endpoint() -> Fault:
    """E1, status 200 anyway: for a route that exists, too (0.4.17 did so for its own list)."""

    async def reply(exchange: Exchange) -> None:
        await send_refusal(exchange, errors.unexpected_endpoint(exchange.method, exchange.path))

    return instead(reply)


def plain_error(text: str, status: int = 400) -> Fault:
    """E2: a text for an error."""
    return refuse(errors.plain(text, status))


def object_error(message: str, code: str | None = None, status: int = 400) -> Fault:
    """E3: an object for an error."""
    return refuse(errors.object_error(message, code, status))


def no_models_loaded(status: int = 400) -> Fault:
    """E3: nothing is loaded, and nothing gets loaded, even where loading just in time is on."""
    return object_error(errors.NO_MODELS_LOADED, None, status)


def native_error(kind: str, message: str, status: int = 400) -> Fault:
    """E4: the object of ``/api/v1``."""
    return refuse(errors.native(kind, message, status=status))


def unauthorized() -> Fault:
    """E4, status 401, with a part of the offered token in the text."""

    async def reply(exchange: Exchange) -> None:
        await send_refusal(exchange, errors.bad_token(exchange.headers.get("authorization")))

    return instead(reply)


def forbidden() -> Fault:
    """Status 403: the token is good, but not for this."""
    return refuse(errors.forbidden())


def stringified_issues() -> Fault:
    """E5: a JSON array inside the text of an error."""
    return refuse(errors.stringified_issues())


def stream_error(
    error: object,
    *,
    after: Sequence[str] = (),
    named: bool = False,
    done: bool = False,
    hangs: bool = False,
) -> Fault:
    """E6: status 200, the texts *after*, then an error inside the stream.

    A text for *error* is put into the object that newer versions send; anything else is sent as it
    is. The error is *named* if it comes as ``event: error``; it may be followed by ``[DONE]``, or
    the stream *hangs* open after it.
    """
    kind = "invalid_request_error"
    value = {"message": error, "type": kind} if isinstance(error, str) else error

    async def reply(exchange: Exchange) -> None:
        await _begin(exchange, after)
        await exchange.event({"error": value}, "error" if named else "")
        if done:
            await exchange.event("[DONE]")
        if hangs:
            await asyncio.Event().wait()
        await exchange.end()

    return instead(reply)


def end_without_done(*texts: str, cut: bool = False) -> Fault:
    """End a stream after *texts*, with no finish reason or ``[DONE]``; or *cut* its connection."""

    async def reply(exchange: Exchange) -> None:
        await _begin(exchange, texts)
        if cut:
            exchange.cut()
        else:
            await exchange.end()

    return instead(reply)


def empty_stream(*, finished: bool = False) -> Fault:
    """Status 200 and no text: nothing at all, or a *finished* stream with the reason "stop"."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        if finished:
            await exchange.event(_HEAD.chunk({}, "stop"))
            await exchange.event("[DONE]")
        await exchange.end()

    return instead(reply)


def usage_only() -> Fault:
    """A stream whose only chunk counts tokens that nobody has seen."""
    usage = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
    return _events(_HEAD.usage_chunk(usage), "[DONE]")


def empty_choices(*texts: str) -> Fault:
    """Chunks with ``choices: []`` and nothing else, before and between *texts*."""
    hollow = {**_HEAD.chunk({}), "choices": []}
    said = [each for text in texts for each in (_text(text), hollow)]
    return _events(hollow, *said, _HEAD.chunk({}, "stop"), "[DONE]")


def empty_tool_calls(*texts: str) -> Fault:
    """Chunks that carry ``tool_calls: []`` beside their text."""
    said = [_HEAD.chunk({"content": text, "tool_calls": []}) for text in texts]
    return _events(*said, _HEAD.chunk({"tool_calls": []}, "stop"), "[DONE]")


def slow_first_byte(gate: Gate) -> Fault:
    """Give the good answer, but not a byte of it before *gate* lets it through."""

    def fault(good: Reply) -> Reply:
        async def reply(exchange: Exchange) -> None:
            await gate.pass_one()
            await good(exchange)

        return reply

    return fault


def no_answer() -> Fault:
    """Take the request and say nothing, for ever."""
    return instead(silence())


def reset() -> Fault:
    """Reset the connection instead of an answer."""

    async def reply(exchange: Exchange) -> None:
        exchange.reset()

    return instead(reply)


def not_json(status: int = 200) -> Fault:
    """Answer with a web page."""
    return instead(html(status))


def overflow(n_keep: int = 5000, n_ctx: int = 4096) -> Fault:
    """Refuse a prompt that is too long, without a stream; its face in a stream is below."""
    return plain_error(errors.OVERFLOW.format(n_keep=n_keep, n_ctx=n_ctx))


def overflow_in_stream(n_keep: int = 5000, n_ctx: int = 4096, *, named: bool = False) -> Fault:
    """Find inside a stream that the prompt is too long; the third face is ``empty_stream``."""
    return stream_error(errors.OVERFLOW.format(n_keep=n_keep, n_ctx=n_ctx), named=named)


def crashed() -> Fault:
    """Tell that the engine's process died."""
    return plain_error(errors.CRASHED)


def reloaded() -> Fault:
    """Tell that the model was loaded anew under the request."""
    return plain_error(errors.RELOADED)


def unloaded(text: str = errors.UNLOADED_BEFORE) -> Fault:
    """Tell that the model was unloaded under the request."""
    return plain_error(text)


def _events(*values: object) -> Fault:
    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        for value in values:
            await exchange.event(value)
        await exchange.end()

    return instead(reply)


async def _begin(exchange: Exchange, texts: Sequence[str]) -> None:
    await exchange.head()
    for text in texts:
        await exchange.event(_text(text))


def _text(text: str) -> object:
    return _HEAD.chunk({"role": "assistant", "content": text})
