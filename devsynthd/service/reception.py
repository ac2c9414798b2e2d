"""From a received message to its one answer: admits, decodes, limits in time, and ends."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine

from devsynthd.host.limits import SHORTAGE_HINT, shortage
from devsynthd.service.answer import Answers, Work
from devsynthd.service.call import Call, Client, Envelope, Frames, error_info
from devsynthd.service.call_lines import log_begun, log_ended, log_refused
from devsynthd.service.register import Register
from devsynthd.service.status import Tally
from devsynthd.upstream.entries import shown
from devsynthd.wire.codec import (
    Encoding,
    Undecodable,
    decode_request,
    encoding_of,
    request_id,
    too_large,
)
from devsynthd.wire.errors import (
    BadRequest,
    Cancelled,
    DeadlineExceeded,
    DevsynthError,
    Forbidden,
    Internal,
    ShuttingDown,
)
from devsynthd.wire.replies import Error
from devsynthd.wire.requests import (
    AnyRequest,
    Cancel,
    List,
    Ping,
    RequestId,
    Shutdown,
    Status,
    Subscribe,
)

logger = logging.getLogger(__name__)

Flushed = Callable[[Collection[Client]], Awaitable[None]]
"""Waits until slow clients have been sent all that was said to them, but for those given."""

SERVED_WHILE_DRAINING = (Ping, Status, Cancel, Shutdown)


class Reception:
    """Sees to it that every request gets one answer. Knows clients and calls, no sockets.

    *users* are the uids that may talk to it; *connected* is told the number of clients.
    """

    def __init__(
        self,
        answers: Answers,
        register: Register,
        tally: Tally,
        tasks: asyncio.TaskGroup,
        *,
        users: frozenset[int],
        connected: Callable[[int], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._answers, self._register, self._tally = answers, register, tally
        self._tasks, self._users, self._wall = tasks, users, wall
        self._connected = connected
        self._numbers = itertools.count(1)
        self._strangers: set[int] = set()  # uids that it was logged of
        self._draining = False
        self._grace: asyncio.Timeout | None = None

    # What the transport tells --------------------------------------------------------------

    def connected(self, clients: int) -> None:
        """Note that there are *clients* now."""
        self._connected(clients)

    def received(self, client: Client, frames: Frames) -> None:
        """Answer the message *frames*, or start the work that will."""
        self._tally.requests += not client.is_own
        body = frames[-1]
        encoding = encoding_of(body)
        envelope = Envelope(client, encoding, delimiter=len(frames) > 1 and not frames[0])
        try:
            self._admit(client, frames)
            request = decode_request(body, encoding)
        except Undecodable as exc:
            known_id = exc.request_id
            if known_id is not None and self._register.find(client, known_id):
                # Without the id: the running one must not look finished.
                exc.reason.details["id"], known_id = known_id, None
            self._refuse(envelope, exc.reason, known_id)
        except DevsynthError as exc:
            self._refuse(envelope, exc, None)
        except MemoryError as exc:
            self._refuse(envelope, _unforeseen(exc), None)
        else:
            self._begin(envelope, request, len(body))

    def unread(self, client: Client, *, delimiter: bool) -> None:
        """Say that there was no memory for a message."""
        self._tally.requests += 1
        envelope = Envelope(client, Encoding.MSGPACK, delimiter=delimiter)
        self._refuse(envelope, _unforeseen(MemoryError()), None)

    def too_large(self, client: Client, start: bytes, size_bytes: int, *, delimiter: bool) -> None:
        """Refuse a message, which begins with *start*, for its *size_bytes*."""
        self._tally.requests += 1
        envelope = Envelope(client, encoding_of(start), delimiter=delimiter)
        try:
            self._check_user(client)
        except DevsynthError as exc:
            self._refuse(envelope, exc, None)
        else:
            self._refuse(envelope, too_large(size_bytes), None)

    def writable(self, client: Client) -> None:
        """Go on with what waited for *client* to read."""
        for call in self._register.of(client):
            call.on_writable()

    def is_waiting(self, client: Client) -> bool:
        """Return whether *client* waits for an answer."""
        return bool(self._register.of(client))

    def stalled(self, client: Client) -> None:
        """Stop working for *client*: it does not read."""
        for call in self._register.of(client):
            if not call.is_subscription:  # what that holds is bounded, and tells what was missed
                call.end(Cancelled("the client does not read its replies"))

    def left(self, client: Client) -> None:
        """Stop working for *client*: its connection has ended."""
        for call in self._register.of(client):
            call.end(Cancelled("the client left"))

    # The end -------------------------------------------------------------------------------

    async def drain(self, grace_s: float, flushed: Flushed) -> None:
        """Refuse new work, let what runs finish for *grace_s* seconds, then cancel it."""
        self._draining = True
        calls = self._register.all()
        # A reader of events may be suspended: it does not hold up the end.
        watchers = {call.client for call in calls if call.is_subscription}
        watchers -= {call.client for call in calls if not call.is_subscription}
        for call in calls:
            if call.state == "queued" or isinstance(call.request, List | Subscribe):
                call.end(_shutting_down())
        try:
            async with asyncio.timeout(grace_s) as self._grace:
                await self._all_ended()
                await flushed(watchers)
        except TimeoutError:
            self._grace = None
            left = self._register.all()
            logger.warning("%g s of grace are over: cancelling %d requests", grace_s, len(left))
            for call in left:
                call.end(Cancelled("the daemon stops and its grace is over"))
            await self._all_ended()
        else:
            self._grace = None

    def hasten(self, grace_s: float) -> None:
        """Let what runs while draining finish for *grace_s* seconds from now, if that is less."""
        due = asyncio.get_running_loop().time() + grace_s
        if self._grace is not None and due < (self._grace.when() or due):
            self._grace.reschedule(due)

    async def _all_ended(self) -> None:
        while calls := self._register.all():  # a `cancel` ends after what it cancels
            for call in calls:
                await call.ended()

    # One request ---------------------------------------------------------------------------

    def _check_user(self, client: Client) -> None:
        if client.uid is not None and client.uid not in self._users:
            if client.uid not in self._strangers:  # one line, however often they come
                self._strangers.add(client.uid)
                logger.warning("uid %d was refused: it may not use this socket", client.uid)
            raise Forbidden(
                f"uid {client.uid} may not use this socket",
                hint="each user runs a daemon of their own; in the sandbox of a service, root is "
                "not known as root: `runuser -u USER -- devsynthctl` is",
            )

    def _admit(self, client: Client, frames: Frames) -> None:
        self._check_user(client)
        if len(frames) != 1 and (len(frames) != 2 or frames[0]):  # noqa: PLR2004 - the delimiter
            raise BadRequest(
                f"the message has {len(frames)} frames",
                hint="send one frame, or an empty one and then one",
            )

    def _begin(self, envelope: Envelope, request: AnyRequest, size_bytes: int) -> None:
        number = 0 if envelope.client.is_own else next(self._numbers)
        call = Call(envelope, request, request_id(request), number, size_bytes=size_bytes)
        if self._register.find(call.client, call.id):
            twice = "a request with this id is still running"
            # Without the id: the running one must not look finished.
            self._refuse(envelope, BadRequest(twice, details={"id": call.id}), None)
            return
        try:
            if self._draining and not isinstance(request, SERVED_WHILE_DRAINING):
                raise _shutting_down()
            left_s = self._time_left_s(request)
            log_begun(call)
            outcome = self._answers.answer(request, call)
            self._draining = self._draining or isinstance(request, Shutdown)
            if isinstance(outcome, Coroutine):
                self._start(call, outcome, left_s)
            else:
                call.succeed(outcome)
                log_ended(call, outcome)
        except DevsynthError as exc:
            self._fail(call, exc)
        except Exception as exc:
            logger.exception("a request failed", extra={"fields": call.fields})
            self._fail(call, _unforeseen(exc))

    def _time_left_s(self, request: AnyRequest) -> float | None:
        """Return what is left of the request's time limit; it began when the client sent it."""
        if request.timeout is None:
            return None
        age_s = max(0.0, self._wall() - request.sent) if request.sent is not None else 0.0
        if age_s >= request.timeout:
            raise DeadlineExceeded(
                f"the request was {age_s:.1f} s old when it was read, of the"
                f" {_rounded(request.timeout)} s that it had",
                hint="if it was sent just now, the clocks of the two machines differ",
            )
        return request.timeout - age_s

    def _start(self, call: Call, work: Work, left_s: float | None) -> None:
        self._register.add(call)
        call.task = self._tasks.create_task(self._run(call, work))
        call.task.add_done_callback(lambda _task: self._settle(call, work))
        if call.is_ending:  # its client turned out to be gone
            call.task.cancel()
        if left_s is None:
            return
        loop = asyncio.get_running_loop()
        call.deadline = loop.time() + left_s
        if isinstance(call.request, List) and call.request.since is not None:
            return  # then it answers, with the unchanged list
        timer = loop.call_at(call.deadline, lambda: call.end(_late(call)))
        call.task.add_done_callback(lambda _task: timer.cancel())

    async def _run(self, call: Call, work: Work) -> None:
        """Answer *call* with what *work* returns or raises."""
        try:
            result = await work
            self._register.discard(call)
            call.succeed(result)
            log_ended(call, result)
        except asyncio.CancelledError:
            self._fail(call, call.reason)
            if not call.is_ending:
                raise
        except DevsynthError as exc:
            self._fail(call, call.reason if call.is_ending else exc)
        except Exception as exc:
            logger.exception("a request failed", extra={"fields": call.fields})
            self._fail(call, _unforeseen(exc))

    def _settle(self, call: Call, work: Work) -> None:
        """Answer *call* if it was ended before its task had begun: then the task never runs."""
        work.close()
        if not call.answered:
            self._fail(call, call.reason)

    def _fail(self, call: Call, error: DevsynthError) -> None:
        self._register.discard(call)
        self._tally.failed(error)
        call.fail(error)
        log_ended(call, None)

    def _refuse(self, envelope: Envelope, error: DevsynthError, known_id: RequestId | None) -> None:
        self._tally.failed(error)
        envelope.send(Error(id=known_id, error=error_info(error)))
        log_refused(envelope.client, error)


def _late(call: Call) -> DeadlineExceeded:
    """Return that the time of *call* is over, and what it still waited for."""
    what = f"{call.op} with {shown(call.model)}" if call.model else call.op
    return DeadlineExceeded(
        f"{what} was not done within the {_rounded(call.request.timeout or 0.0)} s that it had:"
        f" it was still {call.state}",
        hint="give it more time: `devsynthctl --timeout S`, or the field `timeout` of the request",
    )


def _rounded(seconds: float) -> str:
    """Return *seconds* as a person gave them: a client sends what is left of them by then."""
    return f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"  # noqa: PLR2004 - ten


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the daemon is shutting down", hint="try again when it is back")


def _unforeseen(exc: Exception) -> Internal:
    """Return what is told of *exc*: a bug, or that the machine has nothing left to give."""
    if (why := shortage(exc)) is not None:
        return Internal(f"the daemon's machine has too little left: {why}", hint=SHORTAGE_HINT)
    return Internal("a bug in the daemon", hint="its log has the details: please report them")
