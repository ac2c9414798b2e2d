"""Subscribers, as tests need them: in either encoding, and with what they have been told so far."""

import json
from collections.abc import Callable
from typing import Any

from tests.service.asking import AnyDict
from tests.support.daemon import Dealer, RunningDaemon


class Watcher:
    """A client with one subscription, ``w``, to *topics*; None: those that it gets unasked."""

    def __init__(
        self,
        daemon: RunningDaemon,
        *topics: str,
        as_json: bool = False,
        receive_high_water: int = 1000,
        **fields: Any,  # noqa: ANN401 - any fields
    ) -> None:
        self.dealer: Dealer = daemon.dealer(receive_high_water=receive_high_water)
        self._as_json = as_json
        if topics:
            fields["topics"] = topics
        self.send(op="subscribe", id="w", **fields)

    def send(self, **fields: Any) -> None:  # noqa: ANN401 - any fields
        """Send one request."""
        if self._as_json:
            self.dealer.socket.send_string(json.dumps(fields))
        else:
            self.dealer.send(**fields)

    def receive(self) -> AnyDict:
        """Return the next reply."""
        if not self._as_json:
            return self.dealer.receive()
        reply: AnyDict = json.loads(self.dealer.socket.recv())
        return reply

    def event(self) -> AnyDict:
        """Return the next reply, which is an event of this subscription."""
        reply = self.receive()
        assert reply["type"] == "event", reply
        assert set(reply) == {"type", "id", "topic", "time", "snapshot", "missed", "data"}
        assert reply["id"] == "w"
        return reply

    def news(self) -> Any:  # noqa: ANN401 - a topic's own
        """Return what the next event tells, which is no snapshot and follows without a gap."""
        event = self.event()
        assert (event["snapshot"], event["missed"]) == (False, 0), event
        return event["data"]

    def snapshot(self) -> Any:  # noqa: ANN401 - a topic's own
        """Return what the next event tells, which is a snapshot."""
        event = self.event()
        assert (event["snapshot"], event["missed"]) == (True, 0), event
        return event["data"]

    def request(self) -> AnyDict:
        """Return the one request that the next event tells of."""
        (request,) = self.news()["requests"]
        assert set(request) == {
            "request",
            "id",
            "client",
            "pid",
            "op",
            "model",
            "state",
            "position",
            "timing",
            "error",
        }
        told: AnyDict = request
        return told

    def requests_until(self, holds: Callable[[AnyDict], bool]) -> list[AnyDict]:
        """Return the requests that are told of, up to the first one of which *holds* is true."""
        told = [self.request()]
        while not holds(told[-1]):
            told.append(self.request())
        return told


def ended(name: str) -> Callable[[AnyDict], bool]:
    """Return what holds for the last event of the request with the id *name*."""
    return lambda each: each["id"] == name and each["state"] in {"done", "failed", "cancelled"}


def steps(requests: list[AnyDict], name: str) -> list[tuple[str, int | None]]:
    """Return the states and places of the request with the id *name*."""
    return [(each["state"], each["position"]) for each in requests if each["id"] == name]
