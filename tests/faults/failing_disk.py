"""A disk whose steps fail: the n-th one, every one from the n-th on, or every one of a kind."""

import os
from pathlib import Path

from devsynthd.host.disk import Disk


class FailingDisk(Disk):
    """The disk as it is until it is told to fail. *failed* counts the steps that did."""

    def __init__(self) -> None:
        self._from = self._to = self._errno = 0
        self._kinds: tuple[str, ...] = ()
        self.steps: list[str] = []
        self.failed = 0

    def fail_at(self, number: int, code: int) -> None:
        """Have the step *number* (from 1, counted from now on) fail with *code*, an errno."""
        self.mend()
        self._from = self._to = number
        self._errno = code

    def fail_from(self, number: int, code: int) -> None:
        """Have every step from *number* on fail: the disk is gone."""
        self.fail_at(number, code)
        self._to = 1_000_000

    def fail_every(self, kinds: tuple[str, ...], code: int) -> None:
        """Have every step of *kinds*, names of methods, fail."""
        self.mend()
        self._kinds, self._errno = kinds, code

    def mend(self) -> None:
        """Have no step fail any more, and count anew."""
        self._from = self._to = 0
        self._kinds = ()
        self.steps = []

    def read(self, path: Path, max_bytes: int) -> bytes:
        self._step("read")
        return super().read(path, max_bytes)

    def open(self, path: Path, flags: int) -> int:
        self._step("open")
        return super().open(path, flags)

    def make_beside(self, path: Path) -> tuple[int, Path]:
        self._step("make_beside")
        return super().make_beside(path)

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._step("write")
        except OSError:
            super().write(descriptor, data[: len(data) // 2])  # as a disk does that is filling up
            raise
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._step("sync")
        super().sync(descriptor)

    def rename(self, path: Path, target: Path) -> None:
        self._step("rename")
        super().rename(path, target)

    def remove(self, path: Path) -> None:
        self._step("remove")
        super().remove(path)

    def _step(self, kind: str) -> None:
        self.steps.append(kind)
        if kind in self._kinds or self._from <= len(self.steps) <= self._to:
            self.failed += 1
            raise OSError(self._errno, os.strerror(self._errno))
