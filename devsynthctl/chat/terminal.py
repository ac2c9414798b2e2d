"""The prompt of a chat on a terminal. Slow to import: only where somebody types."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, get_app_or_none
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import ColorDepth, Output, create_output
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.utils import is_dumb_terminal

from devsynthctl.chat.entries import COMMANDS
from devsynthctl.chat.history import History
from devsynthctl.ending import SIGNALS

ModelIds = Callable[[], Iterable[str]]
"""Returns what can be put after ``/model``; asked when somebody wants it completed."""


class Prompt:
    """What a person types, on stderr: lines that can be edited, recalled and completed.

    Args:
        history: What was entered before; where it fails, *note* is told once.
        model_ids: For completion.
        note: Tells the person something.
        color: Whether to draw in colours.

    Attributes:
        is_person: True.
    """

    is_person = True

    def __init__(
        self, history: History, model_ids: ModelIds, note: Callable[[str], None], *, color: bool
    ) -> None:
        self._history, self._note = history, note
        self._remembers = True
        self._prompt: PromptSession[str]
        # As an argument of the prompt itself, the output would count as one that is not dumb.
        with create_app_session(output=_output()):
            self._prompt = PromptSession(
                "> ",
                multiline=True,
                key_bindings=_keys(),
                history=InMemoryHistory(self._remembered()),
                completer=_Completer(model_ids),
                complete_while_typing=False,
                enable_suspend=True,
                color_depth=None if color else ColorDepth.DEPTH_1_BIT,
            )

    def read(self) -> str | None:
        """Return what is entered next, null when the person leaves with Ctrl-D."""
        sys.stdout.flush()
        while True:
            try:
                with _ctrl_c_as_key(), _left_before_the_end():
                    text = self._prompt.prompt(handle_sigint=False)
            except EOFError:
                return None
            except KeyboardInterrupt:
                if not self._prompt.default_buffer.text:
                    self._note("Ctrl-D leaves")
            else:
                self._remember(text)
                return text

    def _remembered(self) -> list[str]:
        try:
            return self._history.entries()
        except OSError as exc:
            self._forget(exc)
            return []

    def _remember(self, text: str) -> None:
        if self._remembers:
            try:
                self._history.add(text)
            except OSError as exc:
                self._forget(exc)

    def _forget(self, exc: OSError) -> None:
        self._remembers = False
        self._note(f"what you enter is not kept for the next time: {exc}")


def _output() -> Output:
    """Return where the prompt is drawn: stdout is for answers."""
    if is_dumb_terminal():
        return PlainTextOutput(sys.stderr)
    return create_output(sys.stderr)


@contextmanager
def _ctrl_c_as_key() -> Iterator[None]:
    """Ignore the signal, which comes only before the terminal hands keys over, and after.

    There it would break the prompt in the middle of its setting up or of its clearing up.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _left_before_the_end() -> Iterator[None]:
    """Have a signal that ends the command leave the prompt first, which gives the terminal back.

    What a handler raises in the middle of an event loop may be lost in it.
    """
    came: list[int] = []

    def leave(number: int, _frame: object) -> None:
        came.append(number)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise EOFError from None  # the prompt is being made: nothing is in the way
        loop.call_soon_threadsafe(_leave)

    heeded = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _leave() -> None:
    app = get_app_or_none()
    if app and app.future and not app.future.done():
        app.exit(exception=EOFError)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return keys


class _Completer(Completer):
    """Completes the names of commands, and models after ``/model``."""

    def __init__(self, model_ids: ModelIds) -> None:
        self._model_ids = model_ids

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 - the library's signature
    ) -> Iterator[Completion]:
        """Yield what the text before the cursor can become."""
        typed = document.text_before_cursor
        name, space, value = typed.partition(" ")
        known: Iterable[str] = ()
        if not space and typed.startswith("/"):
            value, known = name, COMMANDS
        elif name == "/model":
            value, known = value.lstrip(), self._model_ids()
        for each in known:
            if each.startswith(value):
                yield Completion(each, start_position=-len(value))
