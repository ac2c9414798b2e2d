"""How an answer gets from the upstream to the client."""

from devsynthd.service.call import Call
from devsynthd.service.grown_text import GrownText
from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay

MAX_UNTAKEN = 256  # deltas that may wait for a slow client before the upstream is slowed down


class Delivery:
    """Passes the deltas of one answer on, as chunks if *stream*, and keeps the whole of it."""

    def __init__(self, call: Call, *, stream: bool) -> None:
        self._call, self._stream = call, stream
        self.relay: Relay[Delta] = Relay(MAX_UNTAKEN, self._ready)
        self.reasoning = GrownText()
        call.on_writable = self._ready

    def finish(self) -> None:
        """Pass on what is left, to a slow client as well: nothing more is to come."""
        self._call.on_writable = lambda: None
        self._hand_over(self.relay.take())
        del self.relay  # the two refer to each other, and to all of the answer

    def add(self, delta: Delta) -> None:
        """Pass on *delta*, which the daemon itself adds to a finished answer."""
        self._hand_over([delta])

    def _ready(self) -> None:
        # What a slow client has not read stays in the relay, and so slows the upstream down.
        if not self._stream or self._call.client.writable:
            self._hand_over(self.relay.take())

    def _hand_over(self, deltas: list[Delta]) -> None:
        if not deltas or self._call.answered:
            return
        self._call.ledger.heard(self._call.clock(), len(deltas))
        begins, self._call.state = self._call.state != "streaming", "streaming"
        text = "".join([delta.text for delta in deltas])
        reasoning = "".join([delta.reasoning for delta in deltas])
        self._call.text.add(text)
        if reasoning:
            self.reasoning.add(reasoning)
        if self._stream:
            calls = tuple([part for delta in deltas for part in delta.tool_calls])
            self._call.chunk(text, reasoning, calls)
        if begins:
            self._call.changed()  # after the chunk: it is the first one that is waited for
