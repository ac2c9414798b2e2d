"""What a client makes of one request: how it is sent, waited for, and sent again. Pure."""

import os
from collections.abc import Callable
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

OnAway = Callable[[DevsynthError, float], None]
"""Told why a request waits for the next daemon, and for how many seconds; what it raises ends it.

Called whenever it is to be sent again.
"""

SEND_AGAIN_S = 10.0
"""How long a request without a timeout of its own is sent again."""

RETRY_PAUSE_S = 0.05
"""Between two looks whether a daemon has come (back)."""

CALM_PAUSE_S = 0.5
"""The same for what lasts, and is in no hurry."""

PROMPT_ANSWER_S = 10.0
"""How long to wait for what a daemon answers without asking anybody."""

LATE_ANSWER_S = 1.0
"""How long after its deadline the daemon's own word is waited for, on what takes it some time."""

REPEATABLE = frozenset({"ping", "status", "list", "config_get"})
"""The ops that may be sent again after a daemon has gone away: twice is once."""

MEANT_FOR_ONE = frozenset({"cancel", "shutdown"})
"""Those that are for no other daemon: the next one has other requests, and is to run on."""

_AT_ONCE = frozenset({"ping", "status", "config_get"})
_PROMPT = _AT_ONCE | {"cancel", "config_set", "reload", "shutdown"}
_MIN_TIMEOUT_S = 0.001
# Not isinstance: for three structs it takes longer than to encode a request.
_WITH_PROGRESS = (Generate, Load, Download)
_BEGINNINGS = (Chunk, Event)


def give_up_at(op: str, sent_at: float, deadline: float | None) -> float | None:
    """Return when nobody waits any more for an answer to *op*; null: never. Monotonic times."""
    if deadline is not None:
        return deadline if op in _AT_ONCE else deadline + LATE_ANSWER_S
    return sent_at + PROMPT_ANSWER_S if op in _PROMPT else None


class Attempt(NamedTuple):
    """One sending: its *body*, and when nobody waits for an answer any more (null: never)."""

    body: bytes
    give_up: float | None


class _Wait(NamedTuple):
    """A wait for the next daemon: *since* when, and what for, the *reason*."""

    since: float
    reason: DevsynthError


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
        self._wait: _Wait | None = None
        self._sent_at = now
        self._has_begun = False
        self._refused_on: object = None

    @property
    def send_by(self) -> float | None:
        """When it must have been sent; null: there is no hurry."""
        if self._deadline is not None or self._wait is None:
            return self._deadline
        return self._wait.since + SEND_AGAIN_S

    @property
    def pause_s(self) -> float:
        """How long to wait before it is sent again."""
        # Somebody who watches a daemon that drains would else keep it busy to its end.
        return CALM_PAUSE_S if self._op == "subscribe" else RETRY_PAUSE_S

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

    def may_repeat_after(self, error: DevsynthError, now: float, connection: object = None) -> bool:
        """Return whether it may be sent again, since it has ended with *error* on *connection*.

        Remembers who has refused it, and that it waits from *now* on.
        """
        if not self._is_repeatable(error, connection):
            return False
        # What was waited for so long is another matter than what was refused before.
        if self._wait is None or now - self._sent_at >= SEND_AGAIN_S:
            self._wait = _Wait(now, error)
        return True

    def _is_repeatable(self, error: DevsynthError, connection: object) -> bool:
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
        """Return whether it may be sent once more, after a pause."""
        return self.send_by is None or now + self.pause_s < self.send_by

    def tell_wait(self, on_away: OnAway, now: float) -> None:
        """Tell *on_away* why it waits, and how long already."""
        if self._wait:
            on_away(self._wait.reason, now - self._wait.since)

    def error_after(self, last: DevsynthError, now: float) -> DevsynthError:
        """Return what to raise when its time is over and the *last* attempt ended with that."""
        if self._wait is None or not isinstance(last, DaemonUnreachable):
            return last
        return none_came(self._wait.reason, last, now - self._wait.since)


def raise_shutdown(reason: DevsynthError, _waited_s: float) -> None:
    """Be an `OnAway` that has nothing of a daemon that shuts down wait for the next one."""
    if isinstance(reason, ShuttingDown):
        raise reason


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


def none_came(reason: DevsynthError, last: DaemonUnreachable, waited_s: float) -> DaemonUnreachable:
    """Return the error for a daemon that went, for the *reason* given, and was waited for."""
    what = "has shut down" if isinstance(reason, ShuttingDown) else "went away"
    text = f"the daemon {what}, and none came back within {round(waited_s, 1):g} s: {last}"
    return DaemonUnreachable(text, hint=last.hint)


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
