"""What is to be run as a service."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from devsynthctl.service.errors import ServiceError

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Wish(Struct, frozen=True, kw_only=True):
    """The *daemon* and the *ctl* to run, as absolute commands, and what they should work with.

    *socket* and *config* are absolute paths. *config_target* is the file behind *config* if that is
    a symlink, else the same.
    """

    daemon: tuple[str, ...]
    ctl: tuple[str, ...]
    socket: Path
    config: Path
    config_target: Path


class Spec(Struct, frozen=True, kw_only=True):
    """What goes into the files of a service manager: as a `Wish`, but null is what it uses anyway.

    *writable* are folders of settings outside of the usual one.
    """

    daemon: tuple[str, ...]
    ctl: tuple[str, ...]
    socket: Path | None = None
    config: Path | None = None
    writable: tuple[Path, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """What the daemon is started with besides."""
        socket = () if self.socket is None else ("--socket", str(self.socket))
        config = () if self.config is None else ("--config", str(self.config))
        return (*socket, *config)


class Told(Struct, frozen=True, kw_only=True):
    """What an installed service was told to use; null is what it uses anyway."""

    socket: Path | None = None
    config: Path | None = None


def told_by(command: Sequence[str]) -> Told:
    """Return what the daemon is told that *command* runs."""
    given = dict(pairwise(command))
    socket, config = given.get("--socket"), given.get("--config")
    return Told(socket=Path(socket) if socket else None, config=Path(config) if config else None)


def spec_of(wish: Wish, *, usual_socket: Path, usual_config: Path) -> Spec:
    """Return *wish*, where a service uses *usual_socket* and *usual_config* without being told.

    Raises:
        ServiceError: It has a path that the files of service managers cannot have.
    """
    folders = dict.fromkeys((wish.config.parent, wish.config_target.parent))
    spec = Spec(
        daemon=wish.daemon,
        ctl=wish.ctl,
        socket=None if wish.socket == usual_socket else wish.socket,
        config=None if wish.config == usual_config else wish.config,
        writable=tuple(folder for folder in folders if folder != usual_config.parent),
    )
    for word in (*spec.daemon, *spec.ctl, *spec.options, *map(str, spec.writable)):
        if _UNWRITABLE.search(word):
            raise ServiceError(
                f"{word!r} cannot stand in the files of a service: it has characters that are not "
                "printable, or not UTF-8",
                hint="rename it, or use another path",
            )
    if spec.socket and str(spec.socket).endswith(("\\", " ")):
        raise ServiceError(
            f"{str(spec.socket)!r} cannot be the socket of a service: systemd would take its last "
            "character for something else",
            hint="give another one with --socket",
        )
    return spec
