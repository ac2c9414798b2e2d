"""How an answer gets from the upstream to the client, and where its seconds went."""

from devsynthd.service.call import Call
from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay
from devsynthd.wire.objects import Timing, Usage

MAX_UNTAKEN = 256  # deltas that may wait for a slow client before the upstream is slowed down


class Delivery:
    """Passes the deltas of one answer on, as chunks if *stream*, and keeps the whole of it."""

    def __init__(self, call: Call, *, stream: bool) -> None:
        self._call, self._stream = call, stream
        self.relay = Relay[Delta](MAX_UNTAKEN, self._ready)
        self.reasoning: list[str] = []
        self._sent_at = self._first_at = self._last_at = call.clock()
        call.on_writable = self._ready

    def sent(self) -> None:
        """Note that the request goes out now."""
        self._call.state = "waiting"
        self._sent_at = self._first_at = self._last_at = self._call.clock()

    def finish(self) -> None:
        """Pass on what is left, to a slow client as well: nothing more is to come."""
        self._pass_on()
        if self._call.state != "streaming":  # an answer without text, such as a tool call
            self._first_at = self._last_at = self._call.clock()

    def _ready(self) -> None:
        # What a slow client has not read stays in the relay, and so slows the upstream down.
        if not self._stream or self._call.client.writable:
            self._pass_on()

    def _pass_on(self) -> None:
        deltas = self.relay.take()
        if not deltas or self._call.answered:
            return
        self._last_at = self._call.clock()
        if self._call.state != "streaming":
            self._call.state = "streaming"
            self._first_at = self._last_at
        text = "".join([delta.text for delta in deltas])
        reasoning = "".join([delta.reasoning for delta in deltas])
        self._call.text.append(text)
        if reasoning:
            self.reasoning.append(reasoning)
        if self._stream:
            self._call.chunk(text, reasoning)

    def timing(self, usage: Usage | None) -> Timing:
        """Return where the seconds went, from the receipt of the request to the last delta."""
        streaming_s = self._last_at - self._first_at
        tokens = usage.completion_tokens if usage else None
        return Timing(
            queued_s=self._sent_at - self._call.received_at,
            waiting_s=self._first_at - self._sent_at,
            streaming_s=streaming_s,
            total_s=self._last_at - self._call.received_at,
            tokens_per_s=tokens / streaming_s if tokens and streaming_s > 0 else None,
        )
