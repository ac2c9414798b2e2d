"""The requests under way, by the client that asked and by the daemon's own number."""

from collections.abc import Callable

from devsynthd.service.call import Call, Client
from devsynthd.wire.requests import RequestId


class Register:
    """Holds every call from its start to its answer.

    ``on_change`` is told of each one that is new, and of all that changes of it.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[Call], None] = lambda _: None
        self._calls: dict[Client, dict[RequestId, Call]] = {}

    def add(self, call: Call) -> None:
        """Note that work on *call* starts; one that is here already stays as it is."""
        own = self._calls.setdefault(call.client, {})
        if own.get(call.id) is call:
            return
        own[call.id] = call
        call.on_change = self.on_change
        if call.state != "queued":  # else it is told of as soon as it has its place
            call.changed()

    def discard(self, call: Call) -> None:
        """Note that *call* is being answered, if it was here at all."""
        own = self._calls.get(call.client, {})
        if own.get(call.id) is call:
            del own[call.id]
            if not own:
                del self._calls[call.client]

    def find(self, client: Client, request_id: float | str) -> Call | None:
        """Return the call that *client* knows by *request_id*."""
        own = self._calls.get(client)
        return own.get(request_id) if own else None  # type: ignore[arg-type]  # 1.0 finds 1

    def numbered(self, number: float) -> Call | None:
        """Return the call with the daemon's *number*, whoever asked."""
        return next((call for call in self.all() if call.number == number), None)

    def of(self, client: Client) -> list[Call]:
        """Return the calls of *client*, oldest first."""
        return list(self._calls.get(client, {}).values())

    def all(self) -> list[Call]:
        """Return all calls."""
        return [call for own in self._calls.values() for call in own.values()]
