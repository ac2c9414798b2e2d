"""A client's link to its daemon: a connection when one is needed, on the loop that needs it."""

import asyncio
import contextlib
import itertools
import os
import socket
import time
import warnings

from devsynthctl.aio.inbox import Inbox
from devsynthctl.aio.session import Session
from devsynthctl.attempts import RETRY_PAUSE_S, closed, foreign, hung_up_at_once, silent, too_busy
from devsynthctl.connection import RETRY_S, SILENCE_LIMIT_S, Disconnected, Foreign
from devsynthctl.errors import DaemonUnreachable, NoAnswer
from devsynthctl.knock import knock, start_command
from devsynthd.host.address import socket_address


class _Home:
    """What a link has on one event loop, from its first request to its closing."""

    def __init__(self) -> None:
        self.loop, self.pid = asyncio.get_running_loop(), os.getpid()
        self.connecting = asyncio.Lock()
        self.session: Session | None = None
        self.is_closed = False

    def close(self) -> None:
        """Give everything back. Idempotent."""
        self.is_closed = True
        if self.session:
            self.session.close()
            self.session = None


class Link:
    """Connects when there is something to send, and anew when the connection has ended."""

    def __init__(self, address: str | os.PathLike[str] | None, client_name: str) -> None:
        flag = None if address is None else os.fspath(address)
        self.address = socket_address(flag, os.environ)
        self._start_command = start_command(flag)
        self.client_name = client_name
        self.closings = 0
        """How often it was closed: what was begun before must not connect again."""
        self._ids = itertools.count(1)
        self._home: _Home | None = None

    def new_id(self) -> int:
        """Return an id that no other request of this link has."""
        return next(self._ids)

    async def wait(self, wait_s: float, timeout_s: float | None) -> None:
        """Connect, as soon as there is a daemon; it may take *wait_s* to appear.

        If it need not be waited for, it still has *timeout_s* (null: some time) to speak.

        Raises:
            DaemonUnreachable, NoAnswer: There was none to the end.
        """
        limit_s = wait_s or timeout_s
        until = None if limit_s is None else time.monotonic() + limit_s
        while True:
            try:
                await self.connect(until)
            except (DaemonUnreachable, NoAnswer):
                if not wait_s or time.monotonic() + RETRY_PAUSE_S >= (until or 0):
                    raise
            else:
                return
            await asyncio.sleep(RETRY_PAUSE_S)

    async def connect(self, until: float | None) -> Session:
        """Return a session on a living connection, made by *until* (monotonic) if need be.

        A daemon that has accepted has `SILENCE_LIMIT_S` to speak: it may just be starting.

        Raises:
            DaemonUnreachable: Nobody listens at the address, and why.
            Forbidden: The socket is another user's.
            NoAnswer: Somebody does, but is silent.
            ConnectionLost: The link was closed meanwhile.
            RuntimeError: It is in use on another event loop, or in the parent process.
        """
        home = self._enter()
        if home.session and home.session.is_made:
            return home.session
        limit = time.monotonic() + SILENCE_LIMIT_S
        limit = limit if until is None else min(limit, until)
        try:
            async with asyncio.timeout(max(0.0, limit - time.monotonic())):
                await home.connecting.acquire()
        except TimeoutError:
            raise silent(self.address.path) from None
        try:
            return await self._connect(home, limit)
        finally:
            home.connecting.release()

    async def send(
        self, body: bytes, request_id: int, until: float | None
    ) -> tuple[Session, Inbox]:
        """Send *body*, by *until* (monotonic); return what it was sent on, and its replies.

        Raises:
            DaemonUnreachable, Forbidden, NoAnswer, ConnectionLost, RuntimeError: It was not sent.
        """
        closings = self.closings
        for _ in range(2):  # the connection may have ended since the last request
            session = await self.connect(until)
            with contextlib.suppress(Disconnected):
                inbox = await session.send(body, request_id, until)
                if inbox is None:
                    raise too_busy(self.address.path)
                return session, inbox
            if self.closings != closings:
                raise closed()
        raise hung_up_at_once(self.address.path)

    def close(self) -> None:
        """Hang up; the daemon cancels what was in flight. A later request connects again.

        Raises:
            RuntimeError: It is in use on another event loop that runs.
        """
        self.closings += 1
        home = self._home
        if home and home.pid == os.getpid():
            if not home.loop.is_closed():
                self._enter()
            home.close()
        self._home = None

    def __del__(self) -> None:
        home = getattr(self, "_home", None)
        if home is None or home.pid != os.getpid():
            return
        if home.session:
            text = f"an AsyncClient of {self.address.path} was not closed: use `async with`"
            warnings.warn(text, ResourceWarning, source=self, stacklevel=2)
        if home.loop.is_closed():
            home.close()
        else:  # any thread may come here
            home.loop.call_soon_threadsafe(home.close)

    def _enter(self) -> _Home:
        home = self._home
        if home is None:
            home = self._home = _Home()
        elif home.pid != os.getpid():
            raise RuntimeError(
                "this AsyncClient is in use in the parent process: make one in each process"
            )
        elif home.loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "this AsyncClient is in use on another event loop: make one on each loop, or close "
                "it there first"
            )
        return home

    async def _connect(self, home: _Home, limit: float) -> Session:
        while not home.is_closed:
            if home.session and home.session.is_made:
                return home.session
            if home.session:
                await home.session.wait_until_over()  # what it still says belongs to its readers
                home.session = None
                continue
            if wire := knock(self.address, self._start_command):
                session = home.session = self._new_session(wire)
                try:
                    if await session.wait_until_made(limit):
                        return session
                except Foreign:
                    raise foreign(self.address.path) from None
                except Disconnected:
                    pass  # it went away in between: the next look tells
                finally:
                    if not session.is_made:
                        session.close()
                        home.session = None
            if time.monotonic() + RETRY_S >= limit:
                raise silent(self.address.path)
            await asyncio.sleep(RETRY_S)
        raise closed()

    def _new_session(self, wire: socket.socket) -> Session:
        # Not a method of ours: the loop holds the session, and must not hold what drops it.
        new_id = self._ids.__next__
        return Session(wire, self.address.path, new_id, self.client_name)
