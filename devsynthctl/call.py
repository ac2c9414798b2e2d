"""One request of the blocking client, from its sending to its last reply."""

import time
from collections.abc import Callable
from typing import TypeVar, overload

import msgspec

from devsynthctl.attempts import (
    Answer,
    Attempts,
    closed,
    earlier,
    inherited,
    lost,
    too_late,
)
from devsynthctl.connection import Disconnected, HungUp
from devsynthctl.errors import BadReply, ConnectionLost, DaemonUnreachable, NoAnswer, error_from
from devsynthctl.link import Link
from devsynthctl.session import Inbox, Inherited
from devsynthctl.shapes import decoder_of
from devsynthd.wire.codec import DECODE_ERRORS, encode
from devsynthd.wire.errors import DevsynthError, Incomplete
from devsynthd.wire.replies import Error, Progress
from devsynthd.wire.requests import Cancel, Request

Shape = TypeVar("Shape")

OnProgress = Callable[[Progress], None]
"""Told how far a request is; what it raises ends the wait, and cancels the request."""

UNSENT = 0
"""Stands for the id of a request that has none yet."""


def read_result(raw: msgspec.Raw, shape: type[Shape]) -> Shape:
    """Return the result in *raw* as a *shape*; fields that it does not have are skipped.

    Raises:
        BadReply: It does not fit.
    """
    try:
        result: Shape = decoder_of(shape).decode(raw)
    except DECODE_ERRORS as exc:
        raise BadReply(
            f"the result is not in the protocol: {exc}",
            hint="is the daemon of the same version?",
        ) from exc
    return result


class Call:
    """A request that is under way; `devsynthctl.attempts` tells when it is sent again.

    To be read by one thread at a time; any other may cancel or close it.

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
        self._attempts = Attempts(
            request, self.id, link.client_name, timeout_s=timeout_s, now=time.monotonic()
        )
        self._give_up: float | None = None
        self._ended = False
        self._inbox = self._send()

    @overload
    def next(self) -> Answer: ...

    @overload
    def next(self, until: float | None) -> Answer | None: ...

    def next(self, until: float | None = None) -> Answer | None:
        """Return the next reply, a result is the last; null: none has come at *until* (monotonic).

        Raises:
            DevsynthError: The daemon says so, or it cannot be asked any more.
        """
        try:
            return self._next(until)
        except DevsynthError:
            self.close()
            raise

    def ask_to_cancel(self) -> None:
        """Have the daemon end the request, unless it has ended; its last word can be read."""
        if not self._ended:
            cancel = Cancel(id=self._link.new_id(), client=self._link.client_name, target=self.id)
            self._inbox.send(encode(cancel))

    def cancel(self) -> None:
        """Have the daemon drop the request, unless it has ended; no more of it is read."""
        self.ask_to_cancel()
        self.close()

    def close(self) -> None:
        """Read no more of it: it has ended."""
        self._ended = True
        self._inbox.close()

    def _next(self, until: float | None) -> Answer | None:
        path = self._link.address.path
        while True:
            try:
                reply = self._inbox.next(earlier(until, self._give_up))
            except Inherited:
                raise inherited() from None
            except HungUp:
                raise closed() from None
            except Disconnected:
                self._send_again_after(lost(path))
                continue
            except Incomplete:
                self.ask_to_cancel()
                raise
            if reply is None:
                if self._give_up is None or time.monotonic() < self._give_up:
                    return None
                self.ask_to_cancel()
                raise too_late(path)
            if not isinstance(reply, Error):
                self._attempts.take(reply)
                return reply
            self._inbox.close()
            self._send_again_after(error_from(reply.error))

    def _send(self) -> Inbox:
        send_by = self._attempts.send_by
        session = self._link.connect(send_by)
        attempt = self._attempts.prepare(time.monotonic(), time.time())
        self._give_up = attempt.give_up
        return self._link.send_on(session, attempt.body, self.id, send_by)

    def _send_again_after(self, error: DevsynthError) -> None:
        """Send it to whoever answers at the address by then, or raise why not in the end."""
        if not self._attempts.may_repeat_after(error, time.monotonic(), self._inbox.session):
            raise error from None
        while self._attempts.has_time(time.monotonic()):
            if self._link.on_away:
                self._attempts.tell_wait(self._link.on_away, time.monotonic())
            time.sleep(self._attempts.pause_s)
            if self._ended:  # by another thread, meanwhile
                raise closed()
            try:
                self._inbox = self._send()
            except (DaemonUnreachable, NoAnswer, ConnectionLost) as exc:
                error = exc
            else:
                return
        raise self._attempts.error_after(error, time.monotonic())
