"""Fault against operation: what happens, and what the person sees."""

import errno
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from msgspec import Struct

from devsynthd.wire.errors import DevsynthError, ErrorCode
from tests.faults.operations import BESIDE, COMMANDS, DONE, LARGE, MANY, OPERATIONS
from tests.faults.scenes import (
    Scene,
    in_a_full_home,
    in_a_read_only_home,
    on_a_disk,
    without_descriptors,
    without_memory,
    without_processes,
)

PROMISES = (
    "each request is answered, with a code of the protocol and what to do next; the config file is "
    "the old one or the new one, and only what was said to be written is; no file is left that is "
    "not whole, no process, no descriptor; once the fault is over all works again"
)

GROWTH = 8
"""How many threads more there may be in the end: pools grow up to their size."""

_EXHAUSTION = "tests/faults/test_exhaustion.py::test_"
_BAD_DISK = "tests/faults/test_bad_disk.py::test_"
_CLOCKS = "tests/process/test_clocks.py::test_"
_DISKS = "tests/process/test_disks.py::test_"

ELSEWHERE = {
    "the date is set": (
        f"{_CLOCKS}a_date_that_is_set_changes_no_age_and_no_limit",
        f"{_CLOCKS}a_log_goes_on_after_a_date_was_set",
    ),
    "the machine sleeps": (
        f"{_CLOCKS}after_a_suspend_a_list_is_refreshed_before_it_is_told",
        f"{_CLOCKS}a_suspend_takes_nothing_from_the_time_that_a_request_has",
        f"{_CLOCKS}a_connection_that_was_kept_over_a_suspend_is_not_used_again",
    ),
    "the daemon stands still": (f"{_CLOCKS}a_daemon_that_stood_still_polls_once_and_serves_on",),
    "ENOSPC, the log's own file": (
        f"{_DISKS}a_log_file_without_room_leaves_its_lines_to_standard_error",
    ),
    "EFBIG, files may not grow": (f"{_DISKS}files_that_may_not_grow_stay_as_they_are",),
    "EMFILE, the question to itself": (
        f"{_EXHAUSTION}without_descriptors_it_looks_no_longer_for_itself_and_lives_on",
    ),
    "EMFILE, the embedded engine": (
        f"{_EXHAUSTION}an_engine_that_cannot_be_started_is_an_error_that_says_what_to_raise",
    ),
    "EIO, at the start and at the end": (
        f"{_BAD_DISK}a_config_file_that_cannot_be_read_keeps_the_daemon_from_starting",
        f"{_BAD_DISK}a_list_that_could_not_be_kept_is_kept_at_the_end",
    ),
}
"""Faults that are not made here, and the tests that make them."""


class Fault(Struct, frozen=True):
    """What fails, and what comes of each operation then: *seen* has a part of what is told.

    What is not in *seen* is done as ever. *more* are operations for this fault alone. With *warm*
    all has been done once before: what is loaded when it is needed has been loaded.
    """

    name: str
    scene: Callable[[Path], AbstractContextManager[Scene]]
    seen: Mapping[str, str]
    more: Mapping[str, Callable[[Scene], object]] = {}
    warm: bool = True


class Row(Struct, frozen=True):
    """One operation under one fault: what was expected, what is seen, which promises broke."""

    fault: str
    operation: str
    expected: str
    seen: str
    broken: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether it is as it should be."""
        return self.expected in self.seen and not self.broken


def _disk(kinds: str, code: int) -> Callable[[Path], AbstractContextManager[Scene]]:
    return partial(on_a_disk, kinds=tuple(kinds.split()), code=code)


def _refused(reason: str) -> dict[str, str]:
    """Return what is seen where no setting can be written."""
    written = ("select, persisted", "config set", "config unset", *COMMANDS)
    return dict.fromkeys(written, f"config.toml cannot be written: {reason}") | {"doctor": DONE}


_FEW_FILES = "config.toml cannot be read: Too many open files"

MATRIX = (
    Fault(
        "EIO when a file is written",
        _disk("write", errno.EIO),
        _refused("Input/output error"),
    ),
    Fault(
        "EIO when a file is synced",
        _disk("sync", errno.EIO),
        _refused("Input/output error"),
    ),
    Fault(
        "EIO when a file is renamed",
        _disk("rename", errno.EIO),
        _refused("Input/output error"),
    ),
    Fault(
        "EIO when a file is read",
        _disk("read", errno.EIO),
        _refused("Input/output error") | {"reload": "config.toml cannot be read: Input/output"},
    ),
    Fault(
        "EACCES when a file is made",
        _disk("make_beside", errno.EACCES),
        _refused("Permission denied"),
    ),
    Fault(
        "ENFILE when a file is opened",
        _disk("read make_beside", errno.ENFILE),
        _refused("Too many open files in system")
        | {"reload": "config.toml cannot be read: Too many open files in system"},
    ),
    Fault(
        "ENOSPC, a home without room",
        in_a_full_home,
        _refused("No space left on device"),
        more=COMMANDS,
        warm=False,
    ),
    Fault(
        "EROFS, a read-only home",
        in_a_read_only_home,
        _refused("it is in a file system that is read-only"),
        more=COMMANDS,
        warm=False,
    ),
    Fault(
        "EMFILE, no descriptor left",
        without_descriptors,
        _refused("Too many open files")
        | {
            "reload": _FEW_FILES,
            "generate with a schema": "no process can be started (Too many open files)",
        },
    ),
    Fault(
        "EMFILE, before anything was done",
        without_descriptors,
        dict.fromkeys(
            ("select, persisted", "config set", "config unset", "generate with a schema"),
            "the daemon's machine has too little left: Too many open files",
        )
        | {"reload": _FEW_FILES},
        warm=False,
    ),
    Fault(
        "EAGAIN, no process or thread left",
        without_processes,
        {"generate with a schema": "no process can be started (Resource temporarily unavailable)"},
    ),
    Fault(
        "EAGAIN, before anything was done",
        without_processes,
        {"generate with a schema": "no process can be started (Resource temporarily unavailable)"},
        more=BESIDE,
        warm=False,
    ),
    Fault(
        "ENOMEM, no memory left",
        without_memory,
        {
            "a request of 12 MiB": "",  # refused, or hung up on by the socket itself
            f"a list of {MANY:,} models": "the poll failed",
        },
        more=LARGE,
    ),
)


def rows(fault: Fault, folder: Path) -> Iterator[Row]:
    """Do everything while *fault* is there, then once more without it."""
    with fault.scene(folder) as scene:
        everything = {**OPERATIONS, **fault.more}
        if fault.warm:
            for operate in OPERATIONS.values():
                operate(scene)
            _put_back(scene)
        scene.client.list(refresh=True)  # connected, and so is the daemon
        before, threads = scene.descriptors(), scene.threads()
        scene.begin()
        for name, operate in everything.items():
            expected = fault.seen.get(name, DONE)
            yield _row(fault.name, name, expected, scene, operate, folder)
        scene.end()
        for name, operate in OPERATIONS.items():
            yield _row(f"after {fault.name}", name, DONE, scene, operate, folder)
        if fault.warm and not scene.eventually(lambda: scene.descriptors() <= before):
            left = (f"{scene.descriptors()} descriptors, not {before}",)
            yield Row(fault.name, "all of it", "", "", left)
        if scene.threads() > threads + GROWTH:
            left = (f"{scene.threads()} threads, not {threads}",)
            yield Row(fault.name, "all of it", "", "", left)


def _row(
    fault: str,
    name: str,
    expected: str,
    scene: Scene,
    operate: Callable[[Scene], object],
    folder: Path,
) -> Row:
    before = scene.config.read_bytes()
    broken = []
    try:
        outcome = operate(scene)
        seen = outcome if isinstance(outcome, str) and expected != DONE else DONE
        if isinstance(outcome, str) and name.endswith("persisted"):
            seen = outcome
    except DevsynthError as exc:
        seen = f"{exc.code}: {exc}"
        if not exc.hint:
            broken.append("the person is not told what to do")
        if "a bug" in seen:
            broken.append("it is called a bug")
        if exc.code not in [*ErrorCode, "connection_lost"]:
            broken.append("the code is not in the protocol")
    after = scene.config.read_bytes()
    if seen != DONE and after != before:
        broken.append("refused, and the file was changed")
    if b"# mine\n" not in after or not isinstance(tomllib.loads(after.decode()), dict):
        broken.append(f"not the whole file: {after!r}")
    if not scene.eventually(lambda: not scene.left_over()):
        broken.append(f"left over: {scene.left_over()}")
    if not scene.eventually(lambda: not scene.children()):
        broken.append(f"left behind: the processes {scene.children()}")
    return Row(fault, name, expected, re.sub(f"{folder}[^ ]*/", "", seen), tuple(broken))


def _put_back(scene: Scene) -> None:
    scene.client.config_set("llm_model", None)
    scene.client.config_set("llm_max_tokens", 5)
