"""One request from its sending to its last reply: deadlines, and when it is sent again."""

import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import structs

from devsynthctl.connection import Disconnected, HungUp
from devsynthctl.errors import (
    BadReply,
    ConnectionLost,
    DaemonUnreachable,
    NoAnswer,
    error_from,
)
from devsynthctl.link import RETRY_PAUSE_S, Inbox, Link
from devsynthd.wire.codec import DECODE_ERRORS, encode
from devsynthd.wire.errors import BadRequest, DevsynthError, ShuttingDown
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.replies import Chunk, Error, Progress, ReceivedResult
from devsynthd.wire.requests import (
    Cancel,
    ConfigGet,
    ConfigSet,
    List,
    Ping,
    Reload,
    Request,
    Shutdown,
    Status,
)

Shape = TypeVar("Shape")

OnProgress = Callable[[Progress], None]
"""Told how far a request is; what it raises ends the wait, and cancels the request."""

SEND_AGAIN_S = 10.0
"""How long a request without a timeout of its own is sent again."""

PROMPT_ANSWER_S = 10.0
"""How long to wait for what a daemon answers without asking anybody."""

LATE_ANSWER_S = 1.0
"""How long after its deadline the daemon's own word about a request is waited for."""

UNSENT = 0
"""Stands for the id of a request that has none yet."""

_REPEATABLE = (Ping, Status, List, ConfigGet)  # doing them twice is doing them once
_MEANT_FOR_ONE = (Cancel, Shutdown)  # the next daemon has other requests, and is to run on
_PROMPT = (Ping, Status, Cancel, ConfigGet, ConfigSet, Reload, Shutdown)


def read_result(raw: msgspec.Raw, shape: type[Shape]) -> Shape:
    """Return the result in *raw* as a *shape*; fields that it does not have are skipped.

    Raises:
        BadReply: It does not fit.
    """
    try:
        return msgspec.msgpack.decode(raw, type=shape)
    except DECODE_ERRORS as exc:
        raise BadReply(
            f"the result is not in the protocol: {exc}",
            hint="is the daemon of the same version?",
        ) from exc


class Call:
    """A request that is under way.

    Within its timeout (`SEND_AGAIN_S` if it has none) it is sent again when a daemon that shuts
    down has refused it, unless a chunk of its answer has come; when the daemon goes away without
    an answer, only if it changes nothing.

    Args:
        link: What it is sent over.
        request: All of it but id, client, sent and timeout.
        timeout_s: Until its deadline; null: none.

    Raises:
        DaemonUnreachable, NoAnswer, ConnectionLost: It could not be sent.
        BadRequest: It is too large, or has text that is not Unicode.
    """

    def __init__(self, link: Link, request: Request, timeout_s: float | None) -> None:
        self._link = link
        self.id = link.new_id()
        self._request = structs.replace(request, id=self.id, client=link.client_name)
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._again_until: float | None = None
        self._begun = False
        self._ended = False
        self._inbox = self._send()

    def next(self) -> Chunk | Progress | ReceivedResult:
        """Return the next reply; a result is the last.

        Raises:
            DevsynthError: The daemon says so, or it cannot be asked any more.
        """
        try:
            return self._next()
        except DevsynthError:
            self.close()
            raise

    def cancel(self) -> None:
        """Have the daemon drop the request, unless it has ended; no more of it is read."""
        if not self._ended:
            cancel = Cancel(id=self._link.new_id(), client=self._link.client_name, target=self.id)
            self._inbox.send(encode(cancel))
            self.close()

    def close(self) -> None:
        """Read no more of it: it has ended."""
        self._ended = True
        self._inbox.close()

    def _next(self) -> Chunk | Progress | ReceivedResult:
        while True:
            try:
                reply = self._inbox.next(self._give_up)
            except HungUp:
                raise _closed() from None
            except Disconnected:
                lost = self._lost()
                if not isinstance(self._request, _REPEATABLE):
                    raise lost from None
                self._send_again(lost)
                continue
            if reply is None:
                self.cancel()
                raise self._too_late()
            if not isinstance(reply, Error):
                # Being told of its place in the queue, say, it has not begun.
                self._begun = self._begun or isinstance(reply, Chunk)
                return reply
            self._inbox.close()
            error = error_from(reply.error)
            refused = isinstance(error, ShuttingDown) and not self._begun
            if not refused or isinstance(self._request, _MEANT_FOR_ONE):
                raise error
            self._send_again(error)

    def _send(self) -> Inbox:
        until = self._again_until if self._deadline is None else self._deadline
        self._link.connect(until)
        now = time.monotonic()
        request, self._give_up = self._request, None
        if self._deadline is not None:
            left_s = max(self._deadline - now, 0.001)
            request = structs.replace(request, timeout=left_s, sent=time.time())
            self._give_up = self._deadline + LATE_ANSWER_S
        elif isinstance(request, _PROMPT):
            self._give_up = now + PROMPT_ANSWER_S
        return self._link.send(_body(request), self.id, until)

    def _send_again(self, reason: DevsynthError) -> None:
        """Send it to whoever answers at the address by then, or raise why not in the end."""
        if self._again_until is None:
            self._again_until = self._deadline or time.monotonic() + SEND_AGAIN_S
        while time.monotonic() + RETRY_PAUSE_S < self._again_until:
            time.sleep(RETRY_PAUSE_S)
            try:
                self._inbox = self._send()
            except (DaemonUnreachable, NoAnswer, ConnectionLost) as exc:
                reason = exc
            else:
                return
        raise reason

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(
            f"the daemon at {self._link.address.path} went away before its answer",
            hint="see whether it runs again: devsynthctl ping --wait 10",
        )

    def _too_late(self) -> NoAnswer:
        return NoAnswer(
            f"the daemon at {self._link.address.path} did not answer in time",
            hint="is it stuck? Its log tells",
        )


def _closed() -> ConnectionLost:
    return ConnectionLost(
        "the client was closed before the answer was complete",
        hint="close it when its streams are read; a stream that is not wanted is closed by itself",
    )


def _body(request: Request) -> bytes:
    try:
        body = encode(request)
    except UnicodeEncodeError as exc:
        raise BadRequest(f"the request has text that is not Unicode: {exc}") from exc
    except OverflowError as exc:
        raise BadRequest("the request has a number that is too large") from exc
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(
            f"the request has {len(body)} bytes, the limit is {MAX_BODY_BYTES}",
            hint="send less context or smaller images",
        )
    return body
