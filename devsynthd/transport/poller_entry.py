"""The entry that libzmq's poller has for a listening socket, found and changed from outside."""

import ctypes
import platform
import select
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

FOUND_WITHIN_S = 0.2  # libzmq's thread makes the entry, soon after bind has returned

_DESCRIPTORS = Path("/proc/self/fd")


class _Event(ctypes.Structure):
    """``struct epoll_event``, which is packed on x86-64 only."""

    if platform.machine() == "x86_64":
        _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


class PollerEntry:
    """What the epoll instance *poller* tells of *fd*, and the *data* that it tells it with.

    The entry is libzmq's: it must not be changed after the ROUTER has been closed.
    """

    def __init__(self, poller: int, fd: int, data: int) -> None:
        self._poller, self._fd, self._data = poller, fd, data
        self._epoll_ctl = ctypes.CDLL(None, use_errno=True).epoll_ctl

    @classmethod
    def find(cls, fd: int) -> Self | None:
        """Return the entry for *fd*; null where it cannot be found: without /proc, on macOS."""
        give_up_at = time.monotonic() + FOUND_WITHIN_S
        while _DESCRIPTORS.is_dir() and time.monotonic() < give_up_at:
            for each in _DESCRIPTORS.iterdir():
                with suppress(OSError):
                    if each.readlink().name == "anon_inode:[eventpoll]":
                        data = _data_of(
                            fd, Path(f"/proc/self/fdinfo/{each.name}").read_text("ascii")
                        )
                        if data is not None:
                            return cls(int(each.name), fd, data)
            time.sleep(0.001)
        return None

    def tell_nothing(self) -> None:
        """Have it tell nothing of the descriptor."""
        self._change(0)

    def tell_once(self) -> None:
        """Have it tell once that the descriptor is readable, now or when it becomes so."""
        self._change(select.EPOLLIN | select.EPOLLONESHOT)

    def _change(self, events: int) -> None:
        event = _Event(events, self._data)
        modify = 3  # EPOLL_CTL_MOD
        if self._epoll_ctl(self._poller, modify, self._fd, ctypes.byref(event)):
            raise OSError(ctypes.get_errno(), "epoll_ctl failed")


def _data_of(fd: int, fdinfo: str) -> int | None:
    """Return the data of the entry for *fd* in *fdinfo*, as proc_pid_fdinfo(5) has it."""
    for line in fdinfo.splitlines():
        match line.split():
            case ["tfd:", number, "events:", _, "data:", data, *_] if number == str(fd):
                return int(data, 16)
    return None
