"""Holds what has been read until it is taken: in order, and no more than fits."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Relay(Generic[T]):
    """What one reads and another takes, both on the event loop.

    *on_ready* is called when there is something to take. Once *max_items* are untaken it is *full*:
    whoever fills it reads no more until ``on_room`` is called. That is how a slow client slows the
    upstream down.
    """

    def __init__(self, max_items: int, on_ready: Callable[[], None]) -> None:
        self._max_items, self._on_ready = max_items, on_ready
        self._items: list[T] = []
        self.on_room: Callable[[], None] = lambda: None

    @property
    def full(self) -> bool:
        """Whether nothing should be added for now."""
        return len(self._items) >= self._max_items

    def put(self, items: list[T]) -> None:
        """Add *items*, all that came at once."""
        if self._items:
            self._items += items
        else:
            self._items = items
        self._on_ready()

    def take(self) -> list[T]:
        """Return all that has gathered, oldest first."""
        was_full = self.full
        items, self._items = self._items, []
        if was_full:
            self.on_room()
        return items
