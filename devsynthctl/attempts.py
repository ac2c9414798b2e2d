"""What a client makes of one request: how it is sent, waited for, and sent again. Pure."""

import os
from typing import NamedTuple

from msgspec import structs

from devsynthctl.errors import BadReply, ConnectionLost, DaemonUnreachable, NoAnswer
from devsynthd.wire.codec import encode
from devsynthd.wire.errors import BadRequest, DevsynthError, ShuttingDown
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.replies import Chunk, Event, Progress, ReceivedResult
from devsynthd.wire.requests import (
    Download,
    Generate,
    Load,
    Request,
)

Answer = Chunk | Progress | Event | ReceivedResult
"""A reply that is no error; a result is the last."""

SEND_AGAIN_S = 10.0
"""How long a request without a timeout of its own is sent again."""

RETRY_PAUSE_S = 0.05
"""Between two looks whether a daemon has come (back)."""

PROMPT_ANSWER_S = 10.0
"""How long to wait for what a daemon answers without asking anybody."""

LATE_ANSWER_S = 1.0
"""How long after its deadline the daemon's own word about a request is waited for."""

REPEATABLE = frozenset({"ping", "status", "list", "config_get"})
"""The ops that may be sent again after a daemon has gone away: twice is once."""

MEANT_FOR_ONE = frozenset({"cancel", "shutdown"})
"""Those that are for no other daemon: the next one has other requests, and is to run on."""

_PROMPT = frozenset({"ping", "status", "cancel", "config_get", "config_set", "reload", "shutdown"})
_MIN_TIMEOUT_S = 0.001
# Not isinstance: for three structs it takes longer than to encode a request.
_WITH_PROGRESS = (Generate, Load, Download)
_BEGINNINGS = (Chunk, Event)


def give_up_at(op: str, sent_at: float, deadline: float | None) -> float | None:
    """Return when nobody waits any more for an answer to *op*; null: never. Monotonic times."""
    if deadline is not None:
        return deadline + LATE_ANSWER_S
    return sent_at + PROMPT_ANSWER_S if op in _PROMPT else None


class Attempt(NamedTuple):
    """One sending: its *body*, and when nobody waits for an answer any more (null: never)."""

    body: bytes
    give_up: float | None


class Attempts:
    """A request from its first sending to its end. All times but Unix ones are monotonic.

    Within its timeout (`SEND_AGAIN_S` if it has none) it is sent again when a daemon that shuts
    down has refused it, unless a part of its answer has come; when the daemon goes away without
    an answer, only if it changes nothing.

    Args:
        request: All of it but its id, client, sent and timeout.
        request_id: Its id.
        client_name: Its client.
        timeout_s: Until its deadline; null: none.
        now: When it begins.
    """

    def __init__(
        self,
        request: Request,
        request_id: int,
        client_name: str,
        *,
        timeout_s: float | None,
        now: float,
    ) -> None:
        self._request = structs.replace(request, id=request_id, client=client_name)
        self._op = str(request.__struct_config__.tag)
        self._deadline = None if timeout_s is None else now + timeout_s
        self._again_until: float | None = None
        self._sent_at = now
        self._has_begun = False
        self._refused_on: object = None

    @property
    def send_by(self) -> float | None:
        """When it must have been sent; null: there is no hurry."""
        return self._again_until if self._deadline is None else self._deadline

    def prepare(self, now: float, unix_time: float) -> Attempt:
        """Return what to send now.

        Raises:
            BadRequest: It is too large, or has text that is not Unicode.
        """
        self._sent_at = now
        request = self._request
        if self._deadline is not None:
            left_s = max(self._deadline - now, _MIN_TIMEOUT_S)
            request = structs.replace(request, timeout=left_s, sent=unix_time)
        return Attempt(_body(request), give_up_at(self._op, now, self._deadline))

    def take(self, answer: Answer) -> None:
        """Note that *answer* has come."""
        # Being told of its place in the queue, say, it has not begun.
        self._has_begun = self._has_begun or type(answer) in _BEGINNINGS

    def may_repeat_after(self, error: DevsynthError, connection: object = None) -> bool:
        """Return whether it may be sent again now that it has ended with *error* on *connection*.

        Remembers who has refused it.
        """
        match error:
            case ConnectionLost():
                # A daemon that has refused it to shut down begins nothing any more.
                was_refused = connection is not None and connection is self._refused_on
                return was_refused or self._op in REPEATABLE
            case ShuttingDown():
                self._refused_on = connection
                return not self._has_begun and self._op not in MEANT_FOR_ONE
            case _:
                return False

    def has_time(self, now: float) -> bool:
        """Return whether it may be sent once more, after `RETRY_PAUSE_S`."""
        if self._deadline is not None:
            self._again_until = self._deadline
        elif self._again_until is None or now - self._sent_at >= SEND_AGAIN_S:
            # What was waited for so long is another matter than what was refused before.
            self._again_until = now + SEND_AGAIN_S
        return now + RETRY_PAUSE_S < self._again_until


def with_progress(request: Request, *, is_wanted: bool) -> Request:
    """Return *request* so that progress is told if it *is_wanted* and there is any."""
    if type(request) in _WITH_PROGRESS:
        return structs.replace(request, progress=is_wanted)
    return request


def earlier(one: float | None, other: float | None) -> float | None:
    """Return the earlier of two times; null is never."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def lost(path: os.PathLike[str]) -> ConnectionLost:
    """Return the error for a daemon at *path* that went away unanswered."""
    return ConnectionLost(
        f"the daemon at {os.fspath(path)} went away before its answer",
        hint="see whether it runs again: devsynthctl ping --wait 10",
    )


def too_late(path: os.PathLike[str] | str) -> NoAnswer:
    """Return the error for a daemon at *path* that stays silent."""
    return NoAnswer(
        f"the daemon at {os.fspath(path)} did not answer in time",
        hint="is it stuck? See: devsynthctl doctor",
    )


def silent(path: os.PathLike[str]) -> NoAnswer:
    """Return the error for whoever listens at *path*, and does not speak."""
    return NoAnswer(
        f"whoever listens at {os.fspath(path)} does not answer",
        hint="a longer timeout waits longer; if it is stuck, see: devsynthctl doctor",
    )


def foreign(path: os.PathLike[str]) -> DaemonUnreachable:
    """Return the error for whoever listens at *path*, and is no daemon."""
    return DaemonUnreachable(
        f"whoever listens at {os.fspath(path)} is no devsynthd: it does not speak ZeroMQ",
        hint="end that program, or name another path with --socket or DEVSYNTH_SOCKET",
    )


def busy() -> NoAnswer:
    """Return the error for what a signal's handler asks in the middle of another answer."""
    return NoAnswer(
        "a signal came in the middle of another answer, and its handler has asked something",
        hint="have it ask on a client of its own, or try again",
    )


def bad_reply(reason: str) -> BadReply:
    """Return the error for a reply that is none, for the *reason* given."""
    return BadReply(
        f"the reply is not in the protocol: {reason}",
        hint="does this socket belong to devsynthd, and to one of the same version?",
    )


def too_busy(path: os.PathLike[str]) -> NoAnswer:
    """Return the error for a daemon at *path* that does not read."""
    return NoAnswer(
        f"the daemon at {os.fspath(path)} takes no more requests",
        hint="is it stuck? See: devsynthctl doctor",
    )


def hung_up_at_once(path: os.PathLike[str]) -> ConnectionLost:
    """Return the error for a daemon at *path* that takes a connection, and ends it."""
    return ConnectionLost(
        f"the daemon at {os.fspath(path)} hung up at once", hint="its log tells why"
    )


def closed() -> ConnectionLost:
    """Return the error for a client that was closed while it waited."""
    return ConnectionLost(
        "the client was closed before the answer was complete",
        hint="close it when its streams are read; a stream that is not wanted is closed by itself",
    )


def inherited() -> ConnectionLost:
    """Return the error for what was asked before a fork, in the child."""
    return ConnectionLost(
        "this was asked by another process, which this one was forked from",
        hint="ask again: each process has a connection of its own",
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
