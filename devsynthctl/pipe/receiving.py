"""The half of the pipe that reads replies and hands them to whoever writes them."""

import queue
import threading
import time
from dataclasses import dataclass, field

from devsynthctl.connection import Connection, Disconnected
from devsynthctl.liveness import Liveness
from devsynthctl.pipe.bell import Bell
from devsynthctl.pipe.in_flight import InFlight
from devsynthctl.pipe.outbox import Outbox
from devsynthctl.pipe.told import read_reply
from devsynthd.wire.errors import DevsynthError

MAX_UNWRITTEN_BYTES = 256 * 1024
"""With more than that unwritten no reply is read, and the daemon slows its upstream down."""


@dataclass(eq=False)
class Leg:
    """A connection to a daemon; once it *is_over*, *error* says why it was ended on this side.

    *is_awaited*: its replies are, and are not held up by whoever reads ours.
    """

    number: int
    connection: Connection
    is_over: threading.Event = field(default_factory=threading.Event)
    liveness: Liveness = field(default_factory=Liveness)
    is_awaited: bool = False
    error: DevsynthError | None = None


class Receiving:
    """Reads one leg after the other, each to its end."""

    def __init__(self, in_flight: InFlight, outbox: Outbox, bell: Bell) -> None:
        self._in_flight, self._outbox, self._bell = in_flight, outbox, bell
        self.legs: queue.SimpleQueue[Leg | None] = queue.SimpleQueue()
        """Those that are to be read; null ends it."""

    def run(self) -> None:
        """Read all there will be."""
        while leg := self.legs.get():
            try:
                while True:
                    leg.is_awaited = True
                    bodies = leg.connection.receive(None)
                    leg.is_awaited = False
                    leg.liveness.heard()
                    for body in bodies:
                        self._pass_on(body)
            except Disconnected:
                pass
            except DevsynthError as exc:
                leg.error = exc
            leg.is_over.set()
            self._bell.ring()

    def _pass_on(self, body: bytes) -> None:
        told = read_reply(body)
        if self._in_flight.hears(told, body, time.monotonic()):
            self._outbox.put(body, MAX_UNWRITTEN_BYTES)
            if told.is_last:
                # Not before: once nothing is in flight, nothing more is put.
                self._in_flight.remove(told.id)
        if told.is_last:
            self._bell.ring()
