"""What an exchange happens on: LM Studio, a daemon, and whoever speaks to it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.lmstudio import LMStudio, Model
from tests.lmstudio.downloads import BYTES_PER_SECOND
from tests.lmstudio.paths import Generation
from tests.support.daemon import Dealer, RunningDaemon, start_daemon

QWEN = "qwen/qwen3-4b"
GEMMA = "google/gemma-3-4b"
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"
NEW = "liquid/lfm2-1.2b"

RARELY_S = 3600.0


class Talk(Protocol):
    """The client's side of an exchange."""

    def send(self, value: Mapping[str, Any], /) -> None:
        """Send this request, or what was recorded of it."""

    def receive(self) -> dict[str, Any]:
        """Return what the next reply says."""


@dataclass(frozen=True)
class Stage:
    """What is there when an exchange begins; *helper* is a client beside it."""

    studio: LMStudio
    daemon: RunningDaemon
    helper: Dealer
    folder: Path


Play = Callable[[Stage, Talk], None]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An exchange to be: what it shows, what is there before it, and what is said in it."""

    about: str
    play: Play
    loaded: tuple[str, ...] = (QWEN,)
    running: bool = True  # LM Studio
    generation: Generation = "v1"
    settings: dict[str, Any] = field(default_factory=dict)


class Scenes(dict[str, Scene]):
    """Scenes by name; called, it decorates what is played in one."""

    def __call__(self, about: str, **options: Any) -> Callable[[Play], Play]:  # noqa: ANN401 - of a Scene
        """Add the decorated function, under its own name, as a scene with these *options*."""

        def add(play: Play) -> Play:
            self[play.__name__] = Scene(about=about, play=play, **options)
            return play

        return add


@contextlib.contextmanager
def set_up(scene: Scene, folder: Path, *, port: int = 0) -> Iterator[Stage]:
    """Give the stage of *scene*: *folder* is for the daemon's files, *port* for LM Studio's."""
    studio = LMStudio(scene.generation, [EMBEDDER, QWEN, GEMMA], port=port)
    studio.downloads.catalog[NEW] = Model(key=NEW, size_bytes=10 * BYTES_PER_SECOND)
    for model in scene.loaded:
        studio.load(model)
    settings: dict[str, Any] = {
        "llm_provider": "lmstudio",
        "daemon_poll_interval": RARELY_S,
    } | scene.settings
    with contextlib.ExitStack() as exits:
        exits.enter_context(studio)
        daemon = exits.enter_context(start_daemon(folder, studio.url, **settings))
        helper = daemon.dealer()
        helper.ask(op="list", id=0)  # it has polled
        if not scene.running:
            studio.stop()
        yield Stage(studio, daemon, helper, folder)
