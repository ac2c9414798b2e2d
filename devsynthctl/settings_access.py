"""Who knows the settings: the daemon that runs, else the config file that one would read."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from msgspec import Raw

from devsynthctl.app import App
from devsynthctl.call import UNSENT
from devsynthctl.client import Client
from devsynthctl.errors import DaemonUnreachable
from devsynthctl.render.settings import Place
from devsynthd.host.address import socket_address
from devsynthd.host.paths import config_path
from devsynthd.wire.limits import MAX_KEY_CHARACTERS
from devsynthd.wire.objects import ConfigStatus
from devsynthd.wire.requests import ConfigGet, ConfigSet, Value
from devsynthd.wire.results import StatusReport
from devsynthd.wire.text import named


class SettingsAccess(Protocol):
    """Whoever knows the settings. Results are those of the protocol, in MessagePack."""

    running: bool
    """Whether it is a daemon that runs."""

    @property
    def caveat(self) -> str | None:
        """What a person should know who has read settings here."""

    def get(self, key: str | None) -> Raw:
        """Return the setting *key*, or with null all of them, as a `SettingsReport`.

        Raises:
            ConfigInvalid: There is no such setting, or the settings are not valid.
        """

    def set(self, key: str, value: Value | None) -> Raw:
        """Write *value*, typed or text, to the file (null: unset), and return a `SettingOutcome`.

        Raises:
            ConfigInvalid: There is no such setting, it does not take the value, or the file cannot
                be written.
        """

    def place(self) -> Place:
        """Return where the file is, and who has it."""


class DaemonSettings:
    """The settings of the daemon that *client* is connected to. All errors are the client's."""

    running = True

    def __init__(self, client: Client) -> None:
        self._client = client
        self._config: ConfigStatus | None = None

    @property
    def caveat(self) -> str | None:
        """That the file says something else, if it has mistakes."""
        if self._config is None or self._config.valid:
            return None
        return (
            f"{self._config.path} has mistakes: what was in force before them still is; "
            "`devsynthctl config check` names them"
        )

    def get(self, key: str | None) -> Raw:
        """Ask the daemon."""
        if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
            from devsynthd.settings.values import find_setting  # noqa: PLC0415 - for a mistake only

            find_setting(key)
        self._config = self._client.status().config
        return self._client.ask(ConfigGet(id=UNSENT, key=key))

    def set(self, key: str, value: Value | None) -> Raw:
        """Have the daemon write it."""
        return self._client.ask(ConfigSet(id=UNSENT, key=key, value=value))

    def place(self) -> Place:
        """Ask the daemon."""
        return place_of(self._client.status())


@contextmanager
def client_if_any(app: App) -> Iterator[Client | None]:
    """Give the block a client that is connected, or null if no daemon answers.

    Raises:
        NoAnswer: Somebody is there, but silent.
    """
    with app.client() as client:
        found: Client | None = client
        try:
            client.connect()
        except DaemonUnreachable:
            found = None
        yield found


@contextmanager
def settings_access(app: App) -> Iterator[SettingsAccess]:
    """Give the block whoever knows the settings.

    Raises:
        NoAnswer: A daemon is there, but silent.
    """
    with client_if_any(app) as client:
        if client:
            yield DaemonSettings(client)
            return
        # With a daemon, nobody pays for it.
        from devsynthctl.settings_file import FileSettings  # noqa: PLC0415

        socket = socket_address(app.address, os.environ).path
        yield FileSettings(local_path(), os.environ, socket)


def local_path() -> Path:
    """Return the config file of a daemon that is started from this shell.

    Raises:
        ConfigInvalid: There is no home directory.
    """
    return config_path(None, os.environ)


def place_of(status: StatusReport) -> Place:
    """Return where the file of the daemon with this *status* is."""
    return Place(path=status.config.path, pid=status.pid)


def is_same_file(one: Path, other: str) -> bool:
    """Return whether both paths lead to the same place, by whatever links."""
    return os.path.realpath(one) == os.path.realpath(other)


def tell_who_can_read(app: App, file: Path) -> None:
    """Warn if others than its owner can read *file*, which has a secret."""
    from devsynthd.settings.file import others_can_read  # noqa: PLC0415 - slow, and for this only

    if others_can_read(file):
        command = f"chmod 600 {shlex.quote(named(file))}"
        app.note(f"warning: other users can read the secret in it: {command}")
