"""What an answer that has not begun waits for, told on a terminal if that takes a while."""

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from devsynthd.wire.replies import Chunk, Progress

if TYPE_CHECKING:
    from devsynthctl.render.progress import Drawing

UNDRAWN_S = 0.3
"""How long nothing is drawn: most answers begin before that."""


def stage(progress: Progress, model: str | None) -> str:
    """Return in words what *progress* tells that is waited for; *model* is what was asked, if any.

    The position is how many go before.
    """
    match progress.state:
        case "queued":
            return f"queued: {progress.position} before this one" if progress.position else "queued"
        case "loading":
            return f"loading {model or 'the model'}"
        case _:
            return "waiting for the first token"


class Waiting:
    """Draws what is waited for on *stream*, a terminal, from entering the block until `end`.

    The drawing is in a thread of its own, so that neither the import of what draws nor the drawing
    holds up an answer. *model* is the one that was asked for, if any was named.
    """

    def __init__(self, stream: TextIO, model: str | None, *, color: bool) -> None:
        self._stream, self._model, self._color = stream, model, color
        self._title = "waiting for an answer"
        self._over = threading.Event()
        self._lock = threading.Lock()  # held for whatever changes the drawing
        self._drawing: Drawing | None = None
        self._thread = threading.Thread(target=self._draw, name="waiting", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()
        self._thread.join()

    def tell(self, progress: Progress) -> None:
        """Say how far the request is."""
        self._entitle(stage(progress, self._model))

    def pass_on(self, chunk: Chunk, *, held_back: bool = False) -> None:
        """Wipe it off before the first text of an answer; of what is not written yet, say that.

        *held_back*: text is not written yet either.
        """
        if chunk.text:
            if held_back:
                self._entitle("answering")
            else:
                self.end()
        elif chunk.reasoning:
            self._entitle("thinking")
        elif chunk.tool_calls:
            self._entitle("calling a tool")

    def end(self) -> None:
        """Wipe it off, if it was drawn at all; nothing is drawn after this."""
        self._over.set()
        with self._lock:
            if self._drawing:
                self._drawing.stop()
                self._drawing = None

    def _entitle(self, title: str) -> None:
        with self._lock:
            self._title = title
            if self._drawing:
                self._drawing.entitle(title)

    def _draw(self) -> None:
        if self._over.wait(UNDRAWN_S):
            return
        # A fifth of a second to import; an answer that comes meanwhile does not wait for it.
        from devsynthctl.render.progress import Drawing  # noqa: PLC0415

        with self._lock:
            if not self._over.is_set():
                drawing = Drawing(self._title, self._stream, bar=False, color=self._color)
                drawing.start()
                self._drawing = drawing
