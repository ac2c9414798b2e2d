"""The half of the pipe that reads lines and sends what they ask for."""

import os
import time
import uuid
from collections.abc import Callable, Iterator

from devsynthctl.pipe.asked import Asked, read_line, same_id
from devsynthctl.pipe.bell import Bell
from devsynthctl.pipe.dispatch import Dispatch
from devsynthctl.pipe.flight import Flight
from devsynthctl.pipe.in_flight import InFlight
from devsynthctl.pipe.lines import Cutter, Line
from devsynthctl.pipe.told import error_line
from devsynthd import __version__
from devsynthd.wire.codec import Encoding, encode
from devsynthd.wire.errors import BadRequest, Cancelled, DevsynthError
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.replies import Result
from devsynthd.wire.requests import Cancel, RequestId
from devsynthd.wire.results import CancelOutcome

CLIENT_NAME = f"devsynthctl pipe/{__version__}"

_READ_BYTES = 64 * 1024


class Sending:
    """Reads *stdin*, a descriptor or null, to its end.

    All that adds requests, or takes some back, happens here, and so in one order. *timeout_s* is
    for requests that have none.
    """

    def __init__(
        self,
        stdin: int | None,
        dispatch: Dispatch,
        in_flight: InFlight,
        tell: Callable[[bytes], None],
        bell: Bell,
        timeout_s: float | None,
    ) -> None:
        self._stdin, self._dispatch, self._in_flight = stdin, dispatch, in_flight
        self._tell, self._bell, self._timeout_s = tell, bell, timeout_s

    def run(self) -> None:
        """Send all that is asked, wait until it has ended, and hang up.

        Raises:
            BadRequest: *stdin* cannot be read.
        """
        for line in self._lines():
            self._dispatch.tend()
            try:
                self._take(line)
            except BadRequest as exc:
                self._tell(error_line(None, exc))
        endings, subscriptions = self._in_flight.finish()
        for ending in endings:
            self._tell(ending)
        for subscription in subscriptions:
            self._cancel(subscription)
        while self._in_flight:
            self._wait(None)
        self._dispatch.close()

    def _lines(self) -> Iterator[Line]:
        cutter = Cutter(MAX_BODY_BYTES)
        while data := self._read():
            yield from cutter.feed(data)
        yield from cutter.end()

    def _read(self) -> bytes:
        """Return what comes next on stdin, nothing at its end."""
        while self._stdin is not None:
            if not self._wait(self._stdin):
                continue
            try:
                # Not by a file object: a thread inside of one keeps Python from ending.
                return os.read(self._stdin, _READ_BYTES)
            except BlockingIOError:
                pass  # another process has read it
            except OSError as exc:
                raise BadRequest(f"stdin cannot be read: {exc.strerror}") from exc
        return b""

    def _wait(self, stdin: int | None) -> bool:
        """Wait for *stdin* or for news, and do what is due; return whether *stdin* is readable."""
        is_readable = self._bell.wait(stdin, self._dispatch.left_s())
        self._dispatch.tend()
        return is_readable

    def _take(self, line: Line) -> None:
        """Send what *line* asks for, as soon as there is room for it.

        Raises:
            BadRequest: It cannot be sent, and whose it is cannot be told.
        """
        asked = read_line(line, CLIENT_NAME, self._timeout_s)
        if asked.id in self._in_flight:
            raise same_id(line, asked.id)
        if asked.op == "cancel" and self._in_flight.cancel_waiting(asked.target):
            self._tell_cancelled(asked)
            return
        while not self._in_flight.has_room_for(asked):
            self._wait(None)
        deadline = None if asked.timeout_s is None else time.monotonic() + asked.timeout_s
        self._send(Flight(asked, asked.body_at(time.time()), deadline))

    def _send(self, flight: Flight) -> None:
        try:
            self._dispatch.send(flight)
        except DevsynthError as exc:
            if not flight.is_ours:
                self._tell(error_line(flight.id, exc))

    def _tell_cancelled(self, cancel: Asked) -> None:
        """Tell that what *cancel* is for, which waited for another daemon, is not sent again."""
        ended = Cancelled("cancelled by its client", details={"text": ""})
        self._tell(error_line(cancel.target, ended))
        result = Result(id=cancel.id, result=CancelOutcome(cancelled=True))
        self._tell(encode(result, Encoding.JSON))

    def _cancel(self, target: RequestId) -> None:
        """Cancel *target* on the pipe's own account."""
        own_id = f"devsynthctl pipe {uuid.uuid4()}"
        body = encode(Cancel(id=own_id, client=CLIENT_NAME, target=target), Encoding.JSON)
        self._send(Flight(Asked(own_id, "cancel", body), body, is_ours=True))
