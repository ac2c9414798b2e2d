"""What is told of the service: by its managers, and with ``--json``."""

from typing import Literal

from msgspec import Struct

Change = Literal["written", "updated", "replaced", "unchanged", "removed", "kept"]


class FileChange(Struct, frozen=True, kw_only=True):
    """What was done with a file.

    *replaced*: a person's, which is kept as *original* now. *kept*: a person's, which was left
    alone. *diff* is what has changed where it was *updated* or *replaced*.
    """

    path: str
    change: Change
    diff: str = ""
    original: str | None = None


class InstallReport(Struct, frozen=True, kw_only=True):
    """What an installation has done.

    *changed*: whether anything was. *unit* is the file that is in force. *sandbox*: whether the
    machine allows for the whole of it; null where there is none, or that could not be tried. *kept*
    are options of the installation before, since nothing was said of them now. *linger*: whether
    the service goes on after logging out; null where that is not known. *linger_enabled*: that was
    not so before.
    """

    manager: str
    changed: bool
    unit: str
    files: list[FileChange]
    socket: str
    sandbox: bool | None = None
    kept: list[str] = []
    linger: bool | None = None
    linger_enabled: bool = False
    warnings: list[str] = []


class UninstallReport(Struct, frozen=True, kw_only=True):
    """What an uninstallation has done.

    *left* are the drop-ins of a person, *originals* the files of theirs that were set aside before,
    and *packaged* is the unit that a package brings. *linger*: whether this user's services go on
    after logging out, be it for this one; null where that is not known.
    """

    manager: str
    changed: bool
    files: list[FileChange]
    left: list[str] = []
    originals: list[str] = []
    packaged: str | None = None
    linger: bool | None = None


class UnitFile(Struct, frozen=True, kw_only=True):
    """A file that the service manager reads. *packaged*: it belongs to the whole machine."""

    path: str
    state: Literal["ours", "edited", "packaged"]


class ServiceStatus(Struct, frozen=True, kw_only=True):
    """How the service is; null is what its manager does not tell.

    *state* is in the words of the manager, *running* what it amounts to. *socket* is the path where
    clients find the service; this shell may have another. *listening*: the manager listens at the
    socket, and starts the daemon with the first request. *status* is what the daemon
    says of itself; *result* how it ended last, if that was no success, with its *exit_status* or
    the name of the *signal*. *answers*: whether the daemon answered just now; null if it was not
    asked.
    """

    manager: str
    installed: bool
    running: bool = False
    listening: bool = False
    state: str = "not installed"
    socket: str | None = None
    enabled: bool | None = None
    files: list[UnitFile] = []
    drop_ins: list[str] = []
    for_s: float | None = None
    pid: int | None = None
    memory_bytes: int | None = None
    restarts: int | None = None
    result: str | None = None
    exit_status: int | None = None
    signal: str | None = None
    status: str | None = None
    linger: bool | None = None
    answers: bool | None = None
    error: str | None = None
