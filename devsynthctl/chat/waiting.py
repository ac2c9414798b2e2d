"""A sign on the terminal that an answer is awaited."""

import threading
from types import TracebackType
from typing import Self, TextIO

_SIGN = "..."
_WIPED = f"\r{' ' * (len(_SIGN) + 2)}\r"  # and what the terminal echoes of Ctrl-C


class WaitingSign:
    """Shows itself on *stream*, a terminal, after *delay_s*, and is wiped off by `stop`."""

    def __init__(self, stream: TextIO, *, delay_s: float = 0.5) -> None:
        self._stream = stream
        self._timer = threading.Timer(delay_s, self._show)
        self._timer.daemon = True
        self._is_shown = False

    def stop(self) -> None:
        """Wipe it off, or have it never come; to be called any number of times."""
        self._timer.cancel()
        self._timer.join()
        if self._is_shown:
            self._is_shown = False
            self._write(_WIPED)

    def __enter__(self) -> Self:
        try:
            self._timer.start()
        except BaseException:  # Ctrl-C; it may have started all the same
            self._timer.cancel()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _show(self) -> None:
        self._is_shown = True
        self._write(_SIGN)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
