"""Places that a daemon may be started in: full disks, read-only ones, limits, an unknown user."""

from pathlib import Path

from tests.support.needs import need, need_root

UTIL_LINUX = "apt-get install util-linux"
NOBODY_KNOWS = 54321
"""A uid without an entry in the list of users."""


def after(script: str) -> list[str]:
    """Return the command that runs the one behind it after the shell's *script*."""
    return ["sh", "-ec", f'{script}\nexec "$@"', "sh"]


def with_mounts(script: str) -> list[str]:
    """Return the same, for a *script* that mounts: nobody but the command sees what."""
    need_root()
    return [need("unshare", UTIL_LINUX), "--mount", *after(script)]


def without_network() -> list[str]:
    """Return the command that runs the one behind it without any network, even loopback."""
    need_root()
    return [need("unshare", UTIL_LINUX), "--net"]


def full_disk(folder: Path, *, keep: str = "") -> str:
    """Return the script that puts a full disk of 64 kB at *folder*, with what *keep* writes."""
    return f"""
mkdir -p {folder}; mount -t tmpfs -o size=64k,mode=700 tmpfs {folder}
{keep}
! cat /dev/zero >{folder}/ballast 2>/dev/null
"""


def read_only_disk(folder: Path, *, keep: str = "") -> str:
    """Return the script that puts a read-only disk at *folder*, with what *keep* writes."""
    return f"""
mkdir -p {folder}; mount -t tmpfs -o size=64k,mode=700 tmpfs {folder}
{keep}
mount -o remount,ro {folder}
"""


def as_nobody(*keep: str) -> list[str]:
    """Return the command that runs the one behind it as a user without a name or a home.

    It may read everything, since the interpreter may lie where others cannot go, and write only
    what is its own. *keep* are the variables that it has, as ``NAME=VALUE``.
    """
    need_root()
    reads = "+dac_read_search"
    return [
        need("setpriv", UTIL_LINUX),
        f"--reuid={NOBODY_KNOWS}",
        f"--regid={NOBODY_KNOWS}",
        "--clear-groups",
        f"--inh-caps={reads}",
        f"--ambient-caps={reads}",
        "env",
        "-i",
        *keep,
    ]


def seen_by(pid: int, path: Path) -> Path:
    """Return *path* as the process *pid* sees it, on the disks that only it has."""
    return Path(f"/proc/{pid}/root") / path.relative_to("/")
