"""What is to be run as a service."""

from pathlib import Path

from msgspec import Struct


class Wish(Struct, frozen=True, kw_only=True):
    """The *daemon* and the *ctl* to run, as absolute commands, and what they should work with.

    *socket* and *config* are what this shell would use: absolute paths. *config_target* is the file
    behind *config* if that is a symlink, else the same.
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


def spec_of(wish: Wish, *, usual_socket: Path, usual_config: Path) -> Spec:
    """Return *wish*, where a service uses *usual_socket* and *usual_config* without being told."""
    folders = dict.fromkeys((wish.config.parent, wish.config_target.parent))
    return Spec(
        daemon=wish.daemon,
        ctl=wish.ctl,
        socket=None if wish.socket == usual_socket else wish.socket,
        config=None if wish.config == usual_config else wish.config,
        writable=tuple(folder for folder in folders if folder != usual_config.parent),
    )
