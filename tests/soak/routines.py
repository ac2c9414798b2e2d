"""What goes on at the same time in a soak, each in a thread of its own."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

END_S = 60.0
"""How long their last steps may take."""


class Routine(Protocol):
    """Something that is done again and again."""

    def step(self, over: threading.Event) -> None:
        """Do it once, and wait as long as it takes; *over* is set when it should be the last."""

    def close(self) -> None:
        """Let go of everything, after the last step of all."""


class Routines:
    """Does all of them for the block; *tell* is told who has not come to an end after it."""

    def __init__(
        self,
        routines: Sequence[Routine],
        over: threading.Event,
        tell: Callable[[object, list[str]], None],
    ) -> None:
        self._routines, self._over, self._tell = routines, over, tell
        self._faults: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name=type(each).__name__, daemon=True)
            for each in routines
        ]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def look(self) -> None:
        """Raise what they have raised."""
        if self._faults:
            raise BaseExceptionGroup("a soak that cannot go on", self._faults)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Have them end."""
        self._over.set()
        until = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
            if thread.is_alive():
                self._tell(thread.name, [f"it still waits for its answer after {END_S:g} s"])
        for routine in self._routines:
            routine.close()
        if error is None:
            self.look()

    def _run(self, routine: Routine) -> None:
        try:
            while not self._over.is_set():
                routine.step(self._over)
        except BaseException as exc:  # noqa: BLE001 - raised again where somebody looks
            self._faults.append(exc)
