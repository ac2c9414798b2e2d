"""Where the seconds of one request went. Pure."""

from msgspec.structs import replace

from devsynthd.wire.objects import Timing


class Ledger:
    """When a request was received, sent upstream and heard of, in seconds of one clock."""

    def __init__(self, received_at: float) -> None:
        self.received_at = received_at
        self._sent_at: float | None = None
        self._first_at: float | None = None
        self._last_at: float | None = None
        self._pieces = 0  # after the first moment

    def sent(self, now: float) -> None:
        """Note that it goes out upstream."""
        self._sent_at = now

    def returned(self) -> None:
        """Note that it came back unanswered, and waits to be sent again."""
        self._sent_at = self._first_at = self._last_at = None
        self._pieces = 0

    def heard(self, now: float, pieces: int = 1) -> None:
        """Note that so many *pieces* of the answer have come."""
        if self._first_at is None:
            self._first_at = now
        else:
            self._pieces += pieces
        self._last_at = now

    def timing(self, now: float) -> Timing:
        """Return the seconds until *now*, by what was waited for.

        The speed is an estimate, as if each piece were a token: those that came after the first
        moment, over the time since.
        """
        sent_at = now if self._sent_at is None else self._sent_at
        first_at = now if self._first_at is None else self._first_at
        can_tell = self._pieces > 0 and now > first_at
        return Timing(
            queued_s=sent_at - self.received_at,
            waiting_s=first_at - sent_at,
            streaming_s=now - first_at,
            total_s=now - self.received_at,
            tokens_per_s=self._pieces / (now - first_at) if can_tell else None,
        )

    def closed(self, now: float, tokens: int | None) -> Timing:
        """Return the seconds of the whole, which ended with what was heard last, else *now*.

        The speed is that of *tokens*, as the upstream counted them; null where it did not.
        """
        last_at = now if self._last_at is None else self._last_at
        timing = self.timing(last_at)
        if not tokens or timing.streaming_s <= 0:
            return replace(timing, tokens_per_s=None)
        return replace(timing, tokens_per_s=tokens / timing.streaming_s)
