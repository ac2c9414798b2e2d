"""What is told to the service manager, and that nothing it does can hold up the daemon."""

import os
import socket
from pathlib import Path

import pytest

from devsynthd.host.notify import Notifier
from tests.support.service_manager import service_manager


def test_without_a_manager_nobody_is_told() -> None:
    notifier = Notifier({})

    notifier.ready()
    notifier.alive()

    assert notifier.watchdog_s is None


def test_each_state_is_one_message(short_dir: Path) -> None:
    with service_manager(short_dir) as manager:
        notifier = Notifier(manager.environ, clock=lambda: 12.5)
        with notifier.reloading():
            pass
        notifier.ready()
        with notifier.reloading():
            notifier.alive()
        notifier.stopping(25.0)
        with notifier.reloading():
            pass
        notifier.ready()

        assert [manager.next() for _ in range(5)] == [
            "READY=1",
            "RELOADING=1\nMONOTONIC_USEC=12500000",
            "WATCHDOG=1",
            "READY=1",
            "STOPPING=1\nEXTEND_TIMEOUT_USEC=25000000",
        ]
        assert not manager.has_news(), "it is not ready before it is, and not after it stops"


def test_a_status_is_one_line_and_told_once(short_dir: Path) -> None:
    with service_manager(short_dir) as manager:
        notifier = Notifier(manager.environ)
        notifier.status("line 3:\nREADY=1 is wrong")
        notifier.status("line 3:\nREADY=1 is wrong")
        notifier.status("all is well")

        assert manager.next() == "STATUS=line 3: READY=1 is wrong"
        assert manager.next() == "STATUS=all is well"


def test_an_abstract_address_is_understood() -> None:
    name = f"devsynthd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        hears.bind(f"\0{name}")
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert hears.recv(100) == b"READY=1"


def test_a_manager_that_does_not_read_gets_the_last_word_of_each_kind_later(
    short_dir: Path,
) -> None:
    with service_manager(short_dir) as manager:
        notifier = Notifier(manager.environ)
        told = 0
        while not notifier.owes:
            notifier.status(f"{told}")
            told += 1
        notifier.ready()
        for more in range(told, told + 5):
            notifier.status(f"{more}")
        for expected in range(told - 1):
            assert manager.next() == f"STATUS={expected}"

        notifier.alive()

        assert [manager.next() for _ in range(3)] == ["READY=1", f"STATUS={more}", "WATCHDOG=1"]
        assert not notifier.owes


def test_a_manager_that_is_gone_is_logged_once(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(short_dir / "nobody")})

    notifier.ready()
    notifier.alive()

    (record,) = caplog.records
    assert "cannot be told READY=1" in record.getMessage()


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_of_another_process_is_not_fed(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/nowhere", **environ}).watchdog_s == watchdog_s
