"""Gathers what the report has besides what the checks found."""

import os
import platform
import pwd
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import zmq

from devsynthctl.doctor.facts import Facts
from devsynthctl.doctor.log_lines import file_lines, journal_lines
from devsynthctl.doctor.looks import output_of
from devsynthctl.doctor.report import Surroundings
from devsynthctl.doctor.scrub import Scrub
from devsynthd import __version__
from devsynthd.host.log_file import log_file
from devsynthd.host.redaction import passwords_of
from devsynthd.host.service_names import SYSTEMD_SERVICE
from devsynthd.wire.errors import ConfigInvalid

LOG_LINES = 200
_MAX_LOG_BYTES = 500_000
_FIELDS = "MESSAGE,PRIORITY,LOGGER,SYSLOG_IDENTIFIER,EXCEPTION_TEXT,DEVSYNTH_ERROR"

_PACKAGES = ("pyzmq", "msgspec", "requests", "urllib3", "watchfiles", "xllamacpp")


def home_of(environ: Mapping[str, str]) -> Path | None:
    """Return the user's home directory; null if there is none."""
    if given := environ.get("HOME"):
        return Path(given)
    with suppress(RuntimeError, KeyError):
        return Path.home()
    return None


def scrub_for(secrets: Iterable[str], environ: Mapping[str, str]) -> Scrub:
    """Return what takes out *secrets*, passwords of proxies, the names of user and machine."""
    home, user = home_of(environ), None
    with suppress(KeyError):
        user = pwd.getpwuid(os.getuid()).pw_name
    host = socket.gethostname()
    return Scrub(
        (*passwords_of(environ), *secrets),
        home=str(home) if home else None,
        user=user,
        hosts=(host, host.partition(".")[0]),
    )


def surroundings(facts: Facts, environ: Mapping[str, str]) -> Surroundings:
    """Return the versions of all that takes part, the environment, and the end of the log."""
    versions = {
        "devsynthctl": __version__,
        "devsynthd": facts.pong.version if facts.pong else "not running",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "libzmq": zmq.zmq_version(),
        **{name: _version(name) for name in _PACKAGES},
    }
    return Surroundings(
        made_at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions=versions,
        environ=environ,
        log=_log(facts, environ),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _log(facts: Facts, environ: Mapping[str, str]) -> Sequence[str] | None:
    """Return of the last lines those that can have no prompts and answers; null: none is found."""
    manager = facts.service.manager if facts.service else None
    if manager == "systemd":
        shown = output_of(
            [
                *("journalctl", f"--user-unit={SYSTEMD_SERVICE}", f"--lines={LOG_LINES}"),
                *("--priority=info", "--output=json", "--all", f"--output-fields={_FIELDS}"),
                "--no-pager",
            ],
            environ,
        )
        return journal_lines(shown.splitlines()) if shown else None
    if manager == "launchd" or sys.platform == "darwin":
        return _log_of_file()
    return None


def _log_of_file() -> Sequence[str] | None:
    try:
        with log_file().open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MAX_LOG_BYTES))
            lines = file.read().splitlines()
    except (OSError, ConfigInvalid):
        return None
    return file_lines(lines)[-LOG_LINES:]
