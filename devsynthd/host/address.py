"""Where the daemon listens. The daemon and its clients share this rule, so they meet."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from devsynthd.host.paths import absolute, runtime_dir
from devsynthd.wire.errors import ConfigInvalid

MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""What ``sun_path`` of a socket address holds, without the NUL at its end."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Address(Struct, frozen=True):
    """The place of the socket: its absolute *path*, and *endpoint*, the same for ZeroMQ."""

    path: Path
    endpoint: str


def socket_address(flag: str | None, environ: Mapping[str, str]) -> Address:
    """Return the address that *flag* gives, else ``DEVSYNTH_SOCKET``, else the user's default.

    It may be ``ipc://PATH`` or a bare path; ``~`` is expanded, a relative path made absolute.

    Raises:
        ConfigInvalid: It is no path of a Unix socket, or a path longer than such one may be.
    """
    if flag is not None:
        return _address(_path(flag, "--socket"))
    if given := environ.get("DEVSYNTH_SOCKET"):
        return _address(_path(given, "DEVSYNTH_SOCKET"))
    return _address(runtime_dir(environ, os.getuid()) / "devsynth" / "devsynthd.sock")


def _path(text: str, where: str) -> Path:
    """Return the path in *text*, which was found at *where*."""
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() == "tcp":
        raise ConfigInvalid(
            f"{where} = {text!r} is not allowed: a TCP port is open to every user of the machine",
            hint="for another machine, forward its socket over ssh: "
            "`ssh -L LOCAL.sock:REMOTE.sock HOST`, then use LOCAL.sock here",
        )
    if scheme and scheme[1] != "ipc":
        raise ConfigInvalid(
            f"{where} = {text!r} is not allowed: the daemon listens on a Unix socket only",
            hint="give ipc://PATH or a path",
        )
    path = text.removeprefix("ipc://")
    if not path:
        raise ConfigInvalid(f"{where} = {text!r} names no path", hint="give ipc://PATH or a path")
    if path.startswith("@"):
        raise ConfigInvalid(
            f"{where} = {text!r} is not allowed: an abstract socket has no permissions",
            hint="give a path; one that begins with @ as ./@...",
        )
    return absolute(path)


def _address(path: Path) -> Address:
    try:
        length = len(str(path).encode())
    except UnicodeEncodeError as exc:
        raise ConfigInvalid(
            f"the socket's path {str(path)!r} is not UTF-8", hint="give another one with --socket"
        ) from exc
    if length > MAX_PATH_BYTES:
        raise ConfigInvalid(
            f"the socket's path has {length} bytes, a Unix socket's may have {MAX_PATH_BYTES}: "
            f"{path}",
            hint="give a shorter one with --socket or DEVSYNTH_SOCKET",
        )
    return Address(path=path, endpoint=f"ipc://{path}")
