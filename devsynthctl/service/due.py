"""What has to be done until the files of an installation are in force. Pure."""

from collections.abc import Collection, Mapping

from msgspec import Struct

from devsynthctl.service.unit_state import UnitState
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET


class Due(Struct, frozen=True, kw_only=True):
    """The steps, in their order; *listen_anew* includes a restart."""

    read_anew: bool
    listen_anew: bool
    restart: bool
    enable: bool
    start: bool

    @property
    def is_any(self) -> bool:
        """Whether there is anything to do."""
        return any((self.read_anew, self.listen_anew, self.restart, self.enable, self.start))


def due(
    service: UnitState,
    socket: UnitState,
    *,
    changed: Collection[str],
    written_s: Mapping[str, float],
    is_deaf: bool,
) -> Due:
    """Return what is due, with *service* and *socket* as they were before.

    Not by *changed*, the names of the files that were changed just now, alone: an installation that
    went wrong halfway has changed them already.

    Args:
        service: How it is.
        socket: How it is.
        changed: Names of files of both.
        written_s: When each of the files was written, in seconds of CLOCK_MONOTONIC.
        is_deaf: Whether nobody can find the socket where it listens.
    """
    of_socket = {SYSTEMD_SOCKET}
    of_service = {SYSTEMD_SERVICE, *changed, *written_s} - of_socket

    def is_older(unit: UnitState, files: set[str]) -> bool:
        if not unit.is_up:
            return False
        since = unit.active_since_s
        later = since is not None and any(
            written_s[name] > since for name in files & written_s.keys()
        )
        return later or unit.is_stale or not files.isdisjoint(changed)

    return Due(
        read_anew=bool(changed) or service.is_stale or socket.is_stale,
        listen_anew=is_older(socket, of_socket) or is_deaf,
        restart=is_older(service, of_service),
        enable=not (service.is_enabled and socket.is_enabled),
        start=not (service.is_up and socket.is_up),
    )
