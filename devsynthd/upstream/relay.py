"""Hands what a worker thread reads to the event loop: in order, bounded, few wake-ups."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Relay(Generic[T]):
    """A bounded queue from one worker thread to one event loop.

    The thread waits in ``put`` while *max_items* are untaken: that is how a slow client slows the
    upstream down. The loop is woken once for whatever has gathered, by *on_ready*.
    """

    def __init__(self, max_items: int, on_ready: Callable[[], None]) -> None:
        self._max_items, self._on_ready = max_items, on_ready
        self._loop = asyncio.get_running_loop()
        self._items: deque[T] = deque()
        self._room = threading.Condition()
        self._woken = self._closed = False

    def put(self, items: list[T]) -> bool:
        """Add *items* (from the thread); return false if nobody will take them any more."""
        with self._room:
            while len(self._items) >= self._max_items and not self._closed:
                self._room.wait()
            if self._closed:
                return False
            self._items.extend(items)
            wake, self._woken = not self._woken, True
        if wake:
            self._loop.call_soon_threadsafe(self._ready)
        return True

    def take(self) -> list[T]:
        """Return all that has gathered, oldest first (on the loop)."""
        with self._room:
            items = list(self._items)
            self._items.clear()
            self._room.notify()
        return items

    def close(self) -> None:
        """Let the thread go: whatever it puts from now on is dropped (from anywhere)."""
        with self._room:
            self._closed = True
            self._room.notify()

    def _ready(self) -> None:
        with self._room:
            self._woken = False
        self._on_ready()
