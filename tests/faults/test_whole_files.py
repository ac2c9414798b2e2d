"""Whichever step of a write fails, the file is the old one or the new one, and nothing is left."""

import errno
import io
import logging
import os
from pathlib import Path

import pytest

from devsynthd.host.disk import Disk
from devsynthd.host.log_file import RotatingFile
from devsynthd.host.log_stream import Stream
from devsynthd.host.logs import EventHandler
from devsynthd.host.redaction import Redaction
from tests.faults.failing_disk import FailingDisk
from tests.faults.whole_files import CASES, CODES, WRITERS, Writer, tries, what_it_promises

CODE_NAMES = [errno.errorcode[code] for code in CODES]
LINES = ("first, which fits", "second, which does not", "third, which does not either")


@pytest.mark.parametrize(
    ("writer", "code"),
    CASES,
    ids=[f"{writer.operation}-{errno.errorcode[code]}" for writer, code in CASES],
)
def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, writer: Writer, code: int) -> None:
    steps = []
    for found in tries(tmp_path, writer, code):
        assert what_it_promises(writer, found) == []
        if found.error is not None:
            assert os.strerror(code) in found.error
        steps.append(found.step)

    assert {"make_beside", "write", "rename"} <= set(steps)


@pytest.mark.parametrize("writer", WRITERS, ids=[each.operation for each in WRITERS])
def test_a_disk_that_dies_meanwhile_leaves_the_old_one_or_the_new_one(
    tmp_path: Path, writer: Writer
) -> None:
    """A file that is not whole may stay then, under a name that nobody reads."""
    found = list(tries(tmp_path, writer, errno.EIO, dies=True))

    assert [what_it_promises(writer, each, dies=True) for each in found] == [[]] * len(found)
    assert any(each.left_over for each in found)


def test_a_durable_write_is_synced_before_it_takes_the_place(tmp_path: Path) -> None:
    """Else a loss of power could leave an empty file."""
    disk = FailingDisk()

    assert disk.replace(tmp_path / "file", b"new")
    assert disk.steps[:4] == ["make_beside", "write", "sync", "rename"]


def test_what_may_not_take_the_place_is_removed(tmp_path: Path) -> None:
    assert not Disk().replace(tmp_path / "file", b"new", may=lambda: False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", CODES, ids=CODE_NAMES)
def test_no_line_of_the_log_is_lost_or_torn(tmp_path: Path, code: int) -> None:
    """What its file does not take goes to standard error, also where a rotation fails."""
    failures = 0
    for number in range(1, 1000):
        folder, stderr, disk = tmp_path / str(number), io.StringIO(), FailingDisk()
        file = RotatingFile(
            folder / "d.log", lambda event: event.message, max_bytes=30, files=4, disk=disk
        )
        handler = EventHandler([file, Stream(stderr, lambda event: event.message)], Redaction())
        disk.fail_at(number, code)
        for line in LINES:
            handler.emit(logging.LogRecord("d", logging.INFO, "", 0, line, None, None))
        handler.close()

        told = [line for line in stderr.getvalue().splitlines() if "cannot write to" not in line]
        kept = [line for each in folder.iterdir() for line in each.read_text().splitlines()]
        assert sorted(told + kept) == sorted(LINES)
        if not disk.failed:
            break
        assert f"({os.strerror(code)}): logging to standard error" in stderr.getvalue()
        failures += disk.failed

    assert failures >= 6  # to open it three times, to write to it as often, and to rotate it
