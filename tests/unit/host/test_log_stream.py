"""Standard error in all its states; none of them stops or delays what logs."""

import io
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import pytest

from devsynthd.host.journal import Journal
from devsynthd.host.log_event import Event
from devsynthd.host.log_file import RotatingFile
from devsynthd.host.log_stream import Stream
from devsynthd.host.logs import EventHandler, Sink
from devsynthd.host.redaction import Redaction
from tests.unit.host.test_journal import Reader, event


def message(event: Event) -> str:
    return event.message


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, TextIO]]:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as source, os.fdopen(writer, "w") as stream:
        yield source, stream


def read_all(source: BinaryIO) -> str:
    os.set_blocking(source.fileno(), False)
    return b"".join(iter(lambda: source.read(1 << 16) or b"", b"")).decode()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("devsynthd", logging.INFO, __file__, 1, text, None, None)


def handler(*sinks: Sink) -> EventHandler:
    return EventHandler(sinks, Redaction())


def test_a_line_arrives_at_once(pipe: tuple[BinaryIO, TextIO]) -> None:
    source, stream = pipe
    stream.write("what was printed before, ")

    Stream(stream, message).write(event("größe \udc80"))

    assert read_all(source) == "what was printed before, größe \\udc80\n"


def test_a_reader_that_does_not_read_costs_one_short_wait(pipe: tuple[BinaryIO, TextIO]) -> None:
    source, stream = pipe
    log = handler(Stream(stream, message))
    slowest = 0.0
    began = time.monotonic()
    for number in range(3000):
        line_began = time.monotonic()
        log.handle(record(f"{number} {'x' * 100}"))
        slowest = max(slowest, time.monotonic() - line_began)

    assert time.monotonic() - began < 5
    assert slowest < 0.5
    kept = read_all(source).splitlines()
    assert 100 < len(kept) < 3000
    log.handle(record("again"))
    told = read_all(source).splitlines()
    assert told == [f"lines of the log lost, since nobody read them: {3000 - len(kept)}", "again"]


def test_a_torn_line_is_ended_before_the_next_one(pipe: tuple[BinaryIO, TextIO]) -> None:
    source, stream = pipe
    sink = Stream(stream, message)

    with pytest.raises(BlockingIOError):
        sink.write(event("x" * 1_000_000))
    torn = read_all(source)
    sink.write(event("whole"))

    assert set(torn) == {"x"}
    assert read_all(source) == "\nwhole\n"


@pytest.mark.parametrize("state", ["closed", "full", "gone"])
def test_an_stderr_that_takes_nothing_is_no_reason_to_stop(
    state: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if state == "full":
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full on this system")
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(writer, "w") as stream:
        if state == "closed":
            stream.close()
        log = handler(Stream(stream, message))
        log.handle(record("one"))
        log.handle(record("two"))

    assert capfd.readouterr() == ("", "")


# What comes before standard error --------------------------------------------------------------


def test_without_a_journal_lines_go_to_stderr_and_that_is_said_once(short_dir: Path) -> None:
    stream = io.StringIO()
    log = handler(Journal(short_dir / "journal"), Stream(stream, message))

    log.handle(record("one"))
    log.handle(record("two"))
    reader = Reader(short_dir / "journal")
    with reader.socket:
        log.handle(record("three"))
        assert reader.read()["MESSAGE"] == "three"
    log.handle(record("four"))
    log.close()

    complaint, *lines = stream.getvalue().splitlines()
    assert complaint.startswith(f"cannot write to the journal at {short_dir}/journal (No such file")
    assert complaint.endswith(": logging to standard error")
    assert lines[:2] == ["one", "two"]
    assert "Connection refused" in lines[2]
    assert lines[3:] == ["four"]


def test_a_journal_that_stalls_is_told_what_was_lost(short_dir: Path) -> None:
    stream = io.StringIO()
    log = handler(Journal(short_dir / "journal"), Stream(stream, message))
    reader = Reader(short_dir / "journal")
    with reader.socket:
        for number in range(2000):
            log.handle(record(str(number)))
        kept = len(reader.read_all())
        log.handle(record("again"))
        told = [each["MESSAGE"] for each in reader.read_all()]
    log.close()

    assert kept < 2000
    assert told == [f"lines of the log lost, since nobody read them: {2000 - kept}", "again"]
    assert stream.getvalue() == ""


def test_without_a_log_file_lines_go_to_stderr_and_that_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "d.log"
    stream = io.StringIO()
    log = handler(RotatingFile(path, message), Stream(stream, message))

    log.handle(record("one"))
    log.handle(record("two"))
    (tmp_path / "file").unlink()
    log.handle(record("three"))
    log.close()

    complaint, *lines = stream.getvalue().splitlines()
    assert complaint.startswith(f"cannot write to the log file {path} (")
    assert lines == ["one", "two"]
    assert path.read_text() == "three\n"
