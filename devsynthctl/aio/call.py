"""One request of the client on asyncio, from its sending to its last reply."""

import asyncio
import time
from typing import overload

from devsynthctl.aio.inbox import Inbox
from devsynthctl.aio.link import Link
from devsynthctl.aio.session import Session
from devsynthctl.attempts import Answer, Attempts, closed, earlier, lost, too_late
from devsynthctl.connection import Disconnected
from devsynthctl.errors import ConnectionLost, DaemonUnreachable, NoAnswer, error_from
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Error
from devsynthd.wire.requests import Request


class Call:
    """A request; `devsynthctl.attempts` tells when it is sent again.

    Whatever ends a wait for it, a cancelled task too, has the daemon drop it.

    Args:
        link: What it is sent over.
        request: All of it but id, client, sent and timeout.
        timeout_s: From `begin` until its deadline; null: none.
    """

    def __init__(self, link: Link, request: Request, timeout_s: float | None) -> None:
        self._link, self._request, self._timeout_s = link, request, timeout_s
        self.id = link.new_id()
        self._attempts: Attempts | None = None
        self._closings = 0  # of the link, at its beginning
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._inbox: Inbox | None = None
        self._give_up: float | None = None
        self._is_read = self._has_ended = False
        self._refusal: DevsynthError | None = None  # why it was not sent

    async def begin(self) -> None:
        """Send it, unless that was done.

        Raises:
            DaemonUnreachable, Forbidden, NoAnswer, ConnectionLost: It could not be sent.
            BadRequest: It is too large, or has text that is not Unicode.
            RuntimeError: The link is in use on another event loop, or in the parent process.
        """
        if self._refusal:
            raise self._refusal
        if self._attempts:
            return
        self._loop, self._closings = asyncio.get_running_loop(), self._link.closings
        self._attempts = Attempts(
            self._request,
            self.id,
            self._link.client_name,
            timeout_s=self._timeout_s,
            now=time.monotonic(),
        )
        try:
            await self._send(self._attempts)
        except BaseException as exc:
            self._has_ended = True
            self._refusal = exc if isinstance(exc, DevsynthError) else None
            raise

    @overload
    async def next(self) -> Answer: ...

    @overload
    async def next(self, until: float | None) -> Answer | None: ...

    async def next(self, until: float | None = None) -> Answer | None:
        """Return the next reply, a result is the last; null: none has come at *until* (monotonic).

        Raises:
            DevsynthError: The daemon says so, or it cannot be asked any more.
        """
        self._is_read = True
        try:
            await self.begin()
            return await self._next(until)
        except DevsynthError:
            self.close()
            raise
        except BaseException:
            self.cancel()
            raise
        finally:
            self._is_read = False

    def require_free(self) -> None:
        """Refuse a second reader.

        Raises:
            RuntimeError: A task waits for the next reply.
        """
        if self._is_read:
            raise RuntimeError("another task reads this already")

    def ask_to_cancel(self) -> None:
        """Have the daemon end the request, unless it has ended; its last word can be read."""
        if self._session and not self._has_ended:
            self._session.cancel(self.id)

    def cancel(self) -> None:
        """Have the daemon drop the request, unless it has ended; no more of it is read."""
        self.ask_to_cancel()
        self.close()

    def cancel_soon(self) -> None:
        """Do the same from any thread."""
        if self._loop and not self._has_ended and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.cancel)

    def close(self) -> None:
        """Read no more of it: it has ended."""
        self._has_ended = True
        if self._session:
            self._session.forget(self.id)
        if self._inbox:
            self._inbox.end(closed)

    async def _next(self, until: float | None) -> Answer | None:
        path = self._link.address.path
        while True:
            attempts, inbox = self._attempts, self._inbox
            if attempts is None or inbox is None:
                raise RuntimeError("another task waits for the request to be sent")
            try:
                reply = await inbox.next(earlier(until, self._give_up))
            except Disconnected:
                await self._send_again_after(lost(path), attempts)
                continue
            if reply is None:
                if self._give_up is None or time.monotonic() < self._give_up:
                    return None
                self.ask_to_cancel()
                raise too_late(path)
            if not isinstance(reply, Error):
                attempts.take(reply)
                return reply
            await self._send_again_after(error_from(reply.error), attempts)

    async def _send(self, attempts: Attempts) -> None:
        send_by = attempts.send_by
        await self._link.connect(send_by)
        attempt = attempts.prepare(time.monotonic(), time.time())
        self._give_up = attempt.give_up
        self._session, self._inbox = await self._link.send(attempt.body, self.id, send_by)

    async def _send_again_after(self, error: DevsynthError, attempts: Attempts) -> None:
        """Send it to whoever answers at the address by then, or raise why not in the end."""
        session, self._session = self._session, None
        if session:
            session.forget(self.id)
        if not attempts.may_repeat_after(error, time.monotonic(), session):
            raise error from None
        while attempts.has_time(time.monotonic()):
            await asyncio.sleep(attempts.pause_s)
            if self._has_ended or self._link.closings != self._closings:
                raise closed()
            try:
                await self._send(attempts)
            except (DaemonUnreachable, NoAnswer, ConnectionLost) as exc:
                error = exc
            else:
                return
        raise attempts.error_after(error, time.monotonic())
