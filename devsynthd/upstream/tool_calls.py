"""What the fragments of tool calls add up to, however a server numbers and names them."""

import secrets

from devsynthd.upstream.completions import CallPart, Function
from devsynthd.upstream.failures import loads
from devsynthd.wire.requests import FunctionCall, FunctionPart, ToolCall, ToolCallPart

MAX_CALLS = 1024
MAX_CHECKED_BYTES = 2**24
"""As much of arguments is looked at, of all calls, to find out whether a call is complete."""


class TooManyCalls(ValueError):
    """There are more calls than any answer needs."""


class ToolCalls:
    """The calls of one answer, numbered 0, 1, 2, ... in the order in which they begin."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}  # the upstream's numbers
        self._unchecked_bytes = MAX_CHECKED_BYTES

    def add(self, part: CallPart) -> ToolCallPart | None:
        """Return what *part* adds, in a form that clients can rely on; ``None`` if nothing.

        The first fragment of a call has its id, made up if the upstream gives none. An id or a
        name that comes once more, or an id that comes late, is not told.

        Raises:
            TooManyCalls: It begins one more than there may be.
        """
        function = part.function or Function()
        call = self._latest() if part.index is None else self._by_index.get(part.index)
        is_first = call is None or self._begins_another(part, call)
        if call is None or is_first:
            call = self._begin(part)
        elif function.name and call.name:
            call.repeats_its_name = True
        call.upstream_id = call.upstream_id or part.id or ""
        name = None if call.name else function.name or None
        arguments = function.arguments or ""
        if not (is_first or name or arguments):
            return None
        call.name = call.name or name or ""
        call.arguments.append(arguments)
        return ToolCallPart(
            index=call.number,
            id=call.id if is_first else None,
            type="function" if is_first else None,
            function=FunctionPart(name, arguments),
        )

    def whole(self) -> tuple[ToolCall, ...]:
        """Return what all fragments add up to."""
        return tuple(
            ToolCall(id=call.id, function=FunctionCall(call.name, "".join(call.arguments)))
            for call in self._calls
        )

    def _begin(self, part: CallPart) -> "_Call":
        if len(self._calls) == MAX_CALLS:
            raise TooManyCalls(f"more than {MAX_CALLS} tool calls")
        call = _Call(len(self._calls), part.id or "")
        self._calls.append(call)
        if part.index is not None:
            self._by_index[part.index] = call
        return call

    def _latest(self) -> "_Call | None":
        return self._calls[-1] if self._calls else None

    def _begins_another(self, part: CallPart, call: "_Call") -> bool:
        """Whether *part* is of another call than *call*, which has its number or is the last."""
        has_name = part.function is not None and bool(part.function.name)
        if not has_name or (part.id and part.id == call.upstream_id):
            return False
        # Some servers number nothing, and then a name begins a call. Others give every call the
        # number 0, and then another id does, or without ids a name that comes when the call is
        # complete.
        if part.index is None or (part.id and call.upstream_id):
            return True
        return self._is_complete(call, part)

    def _is_complete(self, call: "_Call", part: CallPart) -> bool:
        """Whether *call* has all that it needs, and *part* with its name is no echo of it."""
        adds_nothing = part.function is None or not part.function.arguments
        if not call.name or (call.repeats_its_name and adds_nothing):
            return False
        # A name with each of many fragments has all that came before it read once more.
        if self._unchecked_bytes < 0:
            return False
        arguments = "".join(call.arguments).encode(errors="replace")
        self._unchecked_bytes -= len(arguments)
        return loads(arguments) is not None


class _Call:
    def __init__(self, number: int, upstream_id: str) -> None:
        self.number, self.upstream_id = number, upstream_id
        # Clients may keep the calls of several answers in one conversation: never the same twice.
        self.id = upstream_id or f"call_{secrets.token_hex(8)}_{number}"
        self.name = ""
        self.repeats_its_name = False
        self.arguments: list[str] = []
