"""The files of a daemon: whether they are whole, and whether any is left that should not be."""

import json
import time
from pathlib import Path

from devsynthd.host.disk import ABANDONED_S, PREFIX

MEANWHILE_S = 120.0
"""How long it may be since the last change that looked for what was abandoned."""


def left_files(folder: Path) -> list[str]:
    """Return what nobody should have left behind.

    A daemon that was killed over a file leaves a new one that is not whole; it is removed with
    one of the next changes, when it is old enough.
    """
    known = {"config.toml", "s.sock", "s.sock.lock"}
    recently = time.time() - ABANDONED_S - MEANWHILE_S
    left = [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if (path.is_file() or path.is_socket())
        and not (path.name.startswith(PREFIX) and path.stat().st_mtime > recently)
    ]
    return [
        f"{name} is left"
        for name in left
        if name not in known and not name.startswith("cache/devsynth/models-")
    ]


def cache_problems(path: Path) -> list[str]:
    """Return what is wrong with a cache file."""
    try:
        json.loads(path.read_text("utf-8"))
    except ValueError as exc:
        return [f"it is half there: {exc}"]
    return []
