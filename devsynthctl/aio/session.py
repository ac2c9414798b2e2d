"""One connection, and the inboxes of the requests in flight on it."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from functools import partial

from msgspec import structs

from devsynthctl.aio.connection import Connection, Unsent
from devsynthctl.aio.inbox import Inbox
from devsynthctl.attempts import bad_reply, closed, too_late
from devsynthctl.connection import Disconnected
from devsynthctl.errors import error_from
from devsynthctl.liveness import MOST_S, Liveness, Pulse, question
from devsynthd.wire.codec import DECODE_ERRORS, decode_reply, encode
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import ErrorInfo
from devsynthd.wire.replies import Error
from devsynthd.wire.requests import Cancel, RequestId


class Session:
    """Sorts the replies by request.

    What cannot be told from whose request it is, an error without an id or bytes that are no
    reply, ends it: any of the requests could wait for it in vain.

    Args:
        wire: A socket that is connected to a daemon and never waits; it is closed here.
        path: That of the daemon's socket, for errors.
        new_id: Gives an id that no other request has.
        client_name: The client of its requests.
    """

    def __init__(
        self,
        wire: socket.socket,
        path: os.PathLike[str],
        new_id: Callable[[], int],
        client_name: str,
    ) -> None:
        self._path, self._new_id, self._client_name = path, new_id, client_name
        self._inboxes: dict[RequestId | None, Inbox] = {}  # an id is never null
        self._liveness = Liveness()
        self._next_look: asyncio.TimerHandle | None = None
        self._connection = Connection(wire, self._sort, self._peer_left)

    @property
    def is_made(self) -> bool:
        """Whether its connection is made, and is not known to have ended."""
        return self._connection.is_made

    async def wait_until_made(self, until: float) -> bool:
        """As `Connection.wait_until_made`."""
        return await self._connection.wait_until_made(until)

    async def wait_until_over(self) -> None:
        """As `Connection.wait_until_over`."""
        await self._connection.wait_until_over()

    async def send(self, body: bytes, request_id: int, until: float | None) -> Inbox | None:
        """Send the request in *body*; return its inbox, or null if it could not be sent in time.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        unsent = self._connection.put(body)
        inbox = self._inboxes[request_id] = Inbox()
        if self._next_look is None:
            self._liveness.heard()
            self._look_later()
        if unsent and not await self._has_left(unsent, request_id, until):
            del self._inboxes[request_id]
            return None
        return inbox

    def cancel(self, request_id: RequestId) -> None:
        """Have the daemon end a request, if that is still of any use; its last word is taken in."""
        if request_id in self._inboxes:
            cancel = Cancel(id=self._new_id(), client=self._client_name, target=request_id)
            with contextlib.suppress(Disconnected):
                self._connection.put(encode(cancel))

    def forget(self, request_id: RequestId) -> None:
        """Have further replies to a request thrown away."""
        self._inboxes.pop(request_id, None)

    def close(self) -> None:
        """Hang up: the daemon cancels what is in flight. Idempotent."""
        self._connection.close()
        self._end(closed)

    async def _has_left(self, unsent: Unsent, request_id: int, until: float | None) -> bool:
        left_s = None if until is None else max(0.0, until - time.monotonic())
        try:
            await asyncio.wait((unsent.sent,), timeout=left_s)
        except BaseException:
            if not self._connection.take_back(unsent):
                self.cancel(request_id)
            self.forget(request_id)
            raise
        if unsent.sent.cancelled():
            self.forget(request_id)
            raise Disconnected
        return not self._connection.take_back(unsent)

    def _look_later(self) -> None:
        self._next_look = asyncio.get_running_loop().call_later(MOST_S, self._look)

    def _look(self) -> None:
        """Ask a daemon that has been silent whether it lives, as long as somebody waits for it."""
        self._next_look = None
        if not self._inboxes:
            return
        match self._liveness.waited(MOST_S):
            case Pulse.GONE:
                self._fail(partial(too_late, self._path))
                return
            case Pulse.ASK:
                with contextlib.suppress(Disconnected):
                    self._connection.put(question(self._client_name))
        self._look_later()

    def _sort(self, body: bytes) -> None:
        self._liveness.heard()
        try:
            reply = decode_reply(body)
        except DECODE_ERRORS as exc:
            self._fail(partial(bad_reply, str(exc)))
            return
        if isinstance(reply, Error) and reply.id is None:
            self._fail(partial(_own_error, reply.error))
            return
        inbox = self._inboxes.get(reply.id)  # else nobody wants to know any more
        if inbox and reply.id is not None and not inbox.put(reply, len(body)):
            self.cancel(reply.id)
            self.forget(reply.id)

    def _fail(self, reason: Callable[[], Exception]) -> None:
        self._connection.close()
        self._end(reason)

    def _peer_left(self) -> None:
        self._end(Disconnected)

    def _end(self, reason: Callable[[], Exception]) -> None:
        for inbox in self._inboxes.values():
            inbox.end(reason)
        self._inboxes.clear()
        if self._next_look:
            self._next_look.cancel()
            self._next_look = None


def _own_error(info: ErrorInfo) -> DevsynthError:
    return error_from(structs.replace(info, details={**info.details}))
