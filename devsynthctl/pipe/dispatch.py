"""Sends requests to the daemon that is there, and some of them again to the next one."""

import os
import time
from collections.abc import Callable

from devsynthctl.attempts import (
    RETRY_PAUSE_S,
    earlier,
    hung_up_at_once,
    lost,
    too_busy,
    too_late,
)
from devsynthctl.connection import Disconnected, connect
from devsynthctl.errors import DaemonUnreachable
from devsynthctl.knock import start_command
from devsynthctl.liveness import MOST_S, Pulse, question
from devsynthctl.pipe.flight import Flight
from devsynthctl.pipe.in_flight import InFlight
from devsynthctl.pipe.receiving import Leg, Receiving
from devsynthd import __version__
from devsynthd.host.address import socket_address
from devsynthd.wire.codec import Encoding
from devsynthd.wire.errors import DevsynthError

_NO_LEG = 0
_CLIENT_NAME = f"devsynthctl pipe/{__version__}"


class Dispatch:
    """Makes the connections, one thread for all of them. What comes back *receiving* reads.

    Args:
        address: The socket as ``--socket`` gives it; null: found by the common rule.
        in_flight: Where the requests are while they are under way.
        receiving: Gets each connection, and tells its end.
        tell: Takes the lines of those that end with a connection, or wait for another in vain.
        wait_s: How long `send` waits for a daemon that is not there.

    Raises:
        ConfigInvalid: *address* cannot be the daemon's.
    """

    def __init__(
        self,
        address: str | None,
        in_flight: InFlight,
        receiving: Receiving,
        tell: Callable[[bytes], None],
        wait_s: float,
    ) -> None:
        self._address = socket_address(address, os.environ)
        self._start_command = start_command(address)
        self._in_flight, self._receiving, self._tell = in_flight, receiving, tell
        self._wait_s = wait_s
        self._leg: Leg | None = None
        self._legs = 0
        self._retry_at = 0.0
        self._looked_at = time.monotonic()

    def send(self, flight: Flight) -> None:
        """Send *flight*, and connect for that if need be.

        Raises:
            DaemonUnreachable, NoAnswer, Forbidden, ConnectionLost: It was not sent.
        """
        for _ in range(2):  # the connection may have ended just now
            leg = self._found(flight.deadline)
            flight.sent_on(leg.number, time.monotonic())
            self._in_flight.add(flight)
            try:
                is_sent = leg.connection.send(flight.body, flight.deadline)
            except Disconnected:
                self._in_flight.remove(flight.id)
                self._lose(leg)
                continue
            if is_sent:
                return
            self._in_flight.remove(flight.id)
            raise too_busy(self._address.path)
        raise hung_up_at_once(self._address.path)

    def left_s(self) -> float | None:
        """Return in how many seconds `tend` has something to do; null: when there is news."""
        expiry, give_up = self._in_flight.next_expiry(), self._in_flight.next_give_up()
        due = earlier(expiry, give_up)
        if self._leg and self._in_flight:
            due = earlier(due, self._looked_at + MOST_S)
        if due is None:
            return None
        if expiry is not None and self._leg is None:
            due = min(due, self._retry_at)
        return max(0.0, due - time.monotonic())

    def tend(self) -> None:
        """Do what is due: see to a lost connection, send again, end who has waited in vain."""
        if self._leg and self._leg.is_over.is_set():
            self._lose(self._leg)
        now = time.monotonic()
        self._look_for_life(now)
        for line in self._in_flight.expire(now):
            self._tell(line)
        for line in self._in_flight.give_up(now, too_late(self._address.path)):
            self._tell(line)
        number = self._leg.number if self._leg else _NO_LEG
        waiting = self._in_flight.waiting_for_other_than(number)
        if waiting and (leg := self._leg or self._look_for_daemon()):
            for flight in waiting:
                self._send_again(leg, flight)

    def close(self) -> None:
        """Hang up, and have no more connections."""
        if self._leg:
            self._leg.connection.close()
        self._receiving.legs.put(None)

    def _found(self, deadline: float | None) -> Leg:
        """Return the connection there is, or one that is made within the time for that."""
        until = earlier(time.monotonic() + self._wait_s, deadline)
        while True:
            try:
                return self._leg or self._connect(deadline)
            except DaemonUnreachable:
                if until is None or time.monotonic() + RETRY_PAUSE_S >= until:
                    raise
            time.sleep(RETRY_PAUSE_S)
            self.tend()

    def _look_for_life(self, now: float) -> None:
        """Ask a daemon that has been silent whether it lives; hang up if it does not say so."""
        silence_s, self._looked_at = now - self._looked_at, now
        leg = self._leg
        if leg is None or not leg.is_awaited or not self._in_flight:
            return
        match leg.liveness.waited(silence_s):
            case Pulse.ASK:
                leg.connection.post(question(_CLIENT_NAME, Encoding.JSON))
            case Pulse.GONE:
                leg.error = too_late(self._address.path)
                leg.connection.close()

    def _connect(self, until: float | None) -> Leg:
        connection = connect(self._address, until, self._start_command)
        self._legs += 1
        leg = self._leg = Leg(self._legs, connection)
        self._receiving.legs.put(leg)
        return leg

    def _lose(self, leg: Leg) -> None:
        """End what was in flight on *leg*, or have it wait, once all that came before is read."""
        leg.is_over.wait()
        leg.connection.close()
        self._leg = None
        error = leg.error or lost(self._address.path)
        for line in self._in_flight.lose(error, time.monotonic()):
            self._tell(line)

    def _look_for_daemon(self) -> Leg | None:
        """Return a connection for those who wait, if it is time to look and somebody is there."""
        if time.monotonic() < self._retry_at:
            return None
        try:
            return self._connect(self._in_flight.next_expiry())
        except DevsynthError:
            self._retry_at = time.monotonic() + RETRY_PAUSE_S
            return None

    def _send_again(self, leg: Leg, flight: Flight) -> None:
        flight.sent_on(leg.number, time.monotonic())
        self._in_flight.sends_again(flight)
        try:
            is_sent = leg.connection.send(flight.body, flight.until)
        except Disconnected:
            is_sent = False  # what becomes of it is seen to when the end of the connection is
        if not is_sent:
            self._in_flight.waits_on(flight)
