"""Events on their way to the journal, which is a real socket here."""

import array
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devsynthd.host.journal import Journal, encode, entry
from devsynthd.host.log_event import Event


def event(message: str = "hello", **more: object) -> Event:
    given = {
        "created": 0.0,
        "level": "info",
        "logger": "devsynthd.test",
        "message": message,
        "fields": {},
        "traceback": "",
        "file": "/f.py",
        "line": 7,
        "function": "do",
        **more,
    }
    return Event(**given)  # type: ignore[arg-type]  # any of its fields


def decoded(data: bytes) -> dict[str, str]:
    """Return the fields of an entry, read as the protocol says."""
    fields = {}
    while data:
        head, _, data = data.partition(b"\n")
        name, has_value, value = head.partition(b"=")
        if not has_value:
            (size,) = struct.unpack("<Q", data[:8])
            value, end, data = data[8 : 8 + size], data[8 + size : 9 + size], data[9 + size :]
            assert end == b"\n"
        fields[name.decode()] = value.decode()
    return fields


class Reader:
    """A journal that reads when it is told to."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(5)
        self.had_file = False

    def read(self) -> dict[str, str]:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        if not ancillary:
            return decoded(data)
        assert data == b""
        self.had_file = True
        ((_, _, rights),) = ancillary
        (descriptor,) = array.array("i", rights)
        with os.fdopen(descriptor, "rb") as file:
            file.seek(0)
            assert_sealed(descriptor)
            return decoded(file.read())

    def read_all(self) -> list[dict[str, str]]:
        self.socket.settimeout(0)
        read = []
        try:
            while True:
                read.append(self.read())
        except BlockingIOError:
            self.socket.settimeout(5)
            return read


def assert_sealed(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - its seals are there on Linux only

        assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == 0b1111


@pytest.fixture
def reader(short_dir: Path) -> Iterator[Reader]:
    reader = Reader(short_dir / "journal")
    with reader.socket:
        yield reader


@pytest.fixture
def journal(short_dir: Path) -> Iterator[Journal]:
    journal = Journal(short_dir / "journal")
    yield journal
    journal.close()


def test_an_event_has_its_fields(journal: Journal, reader: Reader) -> None:
    fields = {"request": 7, "client_pid": 12, "op": "generate", "a-b": {"c": 1}, "client": "x y"}
    journal.write(event(level="warning", fields=fields))

    assert reader.read() == {
        "MESSAGE": 'hello request=7 client_pid=12 op=generate a-b={"c": 1} client="x y"',
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "devsynthd",
        "CODE_FILE": "/f.py",
        "CODE_LINE": "7",
        "CODE_FUNC": "do",
        "LOGGER": "devsynthd.test",
        "DEVSYNTH_REQUEST": "7",
        "DEVSYNTH_CLIENT_PID": "12",
        "DEVSYNTH_OP": "generate",
        "DEVSYNTH_A_B": '{"c": 1}',
        "DEVSYNTH_CLIENT": "x y",
    }


def test_a_traceback_is_a_field_and_its_end_is_told(journal: Journal, reader: Reader) -> None:
    journal.write(event("it failed", traceback="Traceback:\n  here\nValueError: why"))

    told = reader.read()
    assert told["MESSAGE"] == "it failed: ValueError: why"
    assert told["EXCEPTION_TEXT"] == "Traceback:\n  here\nValueError: why"


@pytest.mark.parametrize("value", ["", "a=b", "a\nb", "\n", "größe\x00", "\udc80"])
def test_any_value_arrives(value: str) -> None:
    expected = value.encode(errors="backslashreplace").decode()

    assert decoded(encode([("A", value), ("B", "b")])) == {"A": expected, "B": "b"}


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert decoded(encode([("A", "ä" * 10)], 5)) == {"A": "ää ... (20 bytes in all)"}


def test_what_fits_no_datagram_arrives_as_a_sealed_file(short_dir: Path, reader: Reader) -> None:
    long = "x" * 300_000
    with closing(Journal(short_dir / "journal", buffer_bytes=4096)) as journal:
        journal.write(event("long", fields={"text": long}))

    assert reader.read()["DEVSYNTH_TEXT"] == long
    assert reader.had_file


def test_a_journal_that_does_not_read_costs_one_short_wait(
    journal: Journal, reader: Reader
) -> None:
    sent = 0
    slowest: list[float] = []
    while len(slowest) < 50:
        began = time.monotonic()
        try:
            journal.write(event(str(sent)))
            sent += 1
        except BlockingIOError:
            slowest.append(time.monotonic() - began)

    assert slowest[0] >= 0.04
    assert sum(slowest) < 0.5
    assert [each["MESSAGE"] for each in reader.read_all()] == list(map(str, range(sent)))
    journal.write(event("again"))
    assert [each["MESSAGE"] for each in reader.read_all()] == ["again"]


def test_a_journal_that_is_started_anew_is_found(journal: Journal, short_dir: Path) -> None:
    for number in range(2):
        reader = Reader(short_dir / "journal")
        with reader.socket:
            journal.write(event(str(number)))
            assert reader.read()["MESSAGE"] == str(number)
        (short_dir / "journal").unlink()
        with pytest.raises(FileNotFoundError):
            journal.write(event())


def test_a_journal_that_nobody_reads_any_more_refuses(journal: Journal, reader: Reader) -> None:
    reader.socket.close()

    with pytest.raises(ConnectionRefusedError):
        journal.write(event())


def test_a_field_cannot_take_the_name_of_another_kind() -> None:
    names = [name for name, _ in entry(event(fields={"message": "x", "_pid": 1, "ä=\n": 2}))]

    assert names[-3:] == ["DEVSYNTH_MESSAGE", "DEVSYNTH__PID", "DEVSYNTH____"]
