"""Where the config file, the cache and the socket's directory are on this machine."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from devsynthd.wire.errors import ConfigInvalid

NOWHERE = Path("/nonexistent")
"""The home of users who have none, as Debian has it: nothing is there, and only root may change
that."""


def config_path(flag: str | None, environ: Mapping[str, str]) -> Path:
    """Return the absolute path of the config file, whether or not there is one.

    *flag* wins over ``DEVSYNTH_CONFIG``, that over the platform's place. ``~`` is expanded.

    Raises:
        ConfigInvalid: It cannot be told: no home directory, or *flag* is empty.
    """
    if flag == "":
        raise ConfigInvalid("--config names no file", hint="give it a path, or leave it out")
    if given := flag or environ.get("DEVSYNTH_CONFIG"):
        return absolute(given)
    return _platform_dir("config", "set HOME, or name the file with --config") / "config.toml"


def cache_dir() -> Path:
    """Return the directory of the caches, whether or not it exists.

    Raises:
        ConfigInvalid: There is no home directory.
    """
    return _platform_dir("cache", "set HOME or XDG_CACHE_HOME")


def log_dir() -> Path:
    """Return the directory of log files, whether or not it exists.

    Raises:
        ConfigInvalid: There is no home directory.
    """
    return _platform_dir("log", "set HOME")


def runtime_dir(
    environ: Mapping[str, str], uid: int, *, run_user: Path = Path("/run/user")
) -> Path:
    """Return the directory for sockets of the user *uid*, whether or not it exists.

    ``XDG_RUNTIME_DIR`` if it is absolute, else that in *run_user* if it is the user's own, else one
    in the cache. Not by platformdirs, whose rule depends on TMPDIR: daemon and client may differ in
    that.

    Raises:
        ConfigInvalid: None of them, and no home directory.
    """
    given = Path(environ.get("XDG_RUNTIME_DIR", ""))
    if given.is_absolute():
        return given
    own = run_user / str(uid)
    with suppress(OSError):
        if own.is_dir() and own.stat().st_uid == uid:
            return own
    try:
        return cache_dir() / "run"
    except ConfigInvalid as exc:
        raise ConfigInvalid(
            "this user has neither a runtime directory nor a home, so the socket has no place",
            hint="set XDG_RUNTIME_DIR or HOME, or name a path with --socket or DEVSYNTH_SOCKET",
        ) from exc


def absolute(text: str) -> Path:
    """Return *text* as an absolute path, ``~`` expanded. ``..`` stays: it may follow a symlink.

    Raises:
        ConfigInvalid: It is relative, and the current directory was deleted.
    """
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - Path's own raises where there is no home
    try:
        return path.absolute()
    except OSError as exc:
        raise ConfigInvalid(
            f"{text} is a relative path and the current directory is gone",
            hint="give an absolute path",
        ) from exc


def _platform_dir(what: Literal["config", "cache", "log"], hint: str) -> Path:
    # Slow to import, and as a rule the client needs neither config file nor cache.
    import platformdirs  # noqa: PLC0415

    find = {
        "config": platformdirs.user_config_dir,
        "cache": platformdirs.user_cache_dir,
        "log": platformdirs.user_log_dir,
    }[what]
    path = Path("~")
    with suppress(RuntimeError):  # there is no home; older versions leave the ~ in place instead
        path = Path(find("devsynth", appauthor=False))
    if not path.is_absolute():
        raise ConfigInvalid(f"this user has no home directory for the {what}", hint=hint)
    return path
