"""A whole terminal that shows something while it changes. Slow to import: only for eyes."""

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TextIO, TypeVar

from rich.console import RenderableType
from rich.live import Live

from devsynthctl.render.table import console

State = TypeVar("State")

_KEYS_READ_BYTES = 1024
_JOIN_S = 1.0


class _Bell:
    """Wakes who waits for its descriptor; any thread may ring it."""

    def __init__(self) -> None:
        self.fd, self._end = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._end, False)

    def ring(self) -> None:
        """Wake who waits, now or as soon as they do."""
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._end, b"\0")

    @contextlib.contextmanager
    def rung_by_signals(self) -> Iterator[None]:
        """Have any signal that is handled ring it, whichever thread it comes to."""
        before = signal.set_wakeup_fd(self._end, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def silence(self) -> None:
        """Let who waits go on waiting."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, _KEYS_READ_BYTES)


class _Steps(threading.Thread, Generic[State]):
    """Takes the steps that follow *state*, and rings the *bell* after each one, and at the end."""

    def __init__(self, state: State, steps: Iterator[State], bell: _Bell) -> None:
        super().__init__(name="steps", daemon=True)
        self.state, self.is_over = state, False
        self.fault: BaseException | None = None
        self._steps, self._bell = steps, bell
        self._unwanted = threading.Event()

    def run(self) -> None:
        try:
            for state in self._steps:
                if self._unwanted.is_set():
                    break
                self.state = state
                self._bell.ring()
        except BaseException as exc:  # noqa: BLE001 - raised again in the thread that draws
            self.fault = exc
        self.is_over = True
        self._bell.ring()

    def end(self) -> None:
        """Have no more of them taken than the one under way."""
        self._unwanted.set()


def watch(
    steps: Iterator[State],
    show: Callable[[State, int, int], RenderableType],
    hang_up: Callable[[], None],
    *,
    color: bool,
) -> None:
    """Draw what *show* makes of each of *steps* for a width and a height, until q is pressed.

    The first step is taken before anything is drawn, the others in a thread of their own;
    *hang_up* ends one that waits. The terminal is left as it was, however this ends: by the last
    step, by q, by Ctrl-C or by a signal. Ctrl-Z gives it back as well, and ``fg`` draws again.

    Raises:
        Exception: Whatever a step raises.
    """
    first = next(steps, None)
    if first is None:
        return
    bell = _Bell()
    taken = _Steps(first, steps, bell)
    taken.start()
    try:
        while _draw(taken, show, bell, color=color) == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
    finally:
        taken.end()
        hang_up()
        taken.join(_JOIN_S)
    if taken.fault:
        raise taken.fault


def _draw(
    taken: _Steps[State],
    show: Callable[[State, int, int], RenderableType],
    bell: _Bell,
    *,
    color: bool,
) -> Literal["over", "stopped"]:
    """Draw until it is over, or somebody wants the process to be stopped."""
    stops: list[int] = []

    out = console(sys.stdout, color=color)
    with (
        bell.rung_by_signals(),
        _handled(signal.SIGWINCH, lambda *_: None),
        _handled(signal.SIGTSTP, lambda number, _: stops.append(number)),
        _keys(sys.stdin) as keys,
        Live(
            console=out,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as live,
    ):
        while not (taken.is_over or stops):
            width, height = out.size
            live.update(show(taken.state, width, height), refresh=True)
            if b"q" in _pressed(keys, bell):
                return "over"
    return "stopped" if stops else "over"


def _pressed(keys: list[int], bell: _Bell) -> bytes:
    """Return the keys that are pressed, once there are some, or none when the bell rings."""
    ready, _, _ = select.select([bell.fd, *keys], [], [])
    if bell.fd in ready:
        bell.silence()
    for fd in keys:
        if fd in ready:
            pressed = os.read(fd, _KEYS_READ_BYTES)
            if not pressed:
                keys.clear()  # nobody will press any more
            return pressed.lower()
    return b""


@contextlib.contextmanager
def _keys(stream: TextIO | None) -> Iterator[list[int]]:
    """Have each key be read as it is pressed, and not shown; the block gets where, if anywhere."""
    if stream is None or not stream.isatty():
        yield []
        return
    fd = stream.fileno()
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield [fd]
    finally:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(fd, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _handled(number: signal.Signals, handler: Callable[[int, object], None]) -> Iterator[None]:
    """Have *handler* called at the signal *number* while the block runs."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
