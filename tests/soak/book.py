"""What the config file of a soak must hold, whoever writes it and whoever dies meanwhile."""

import contextlib
import threading
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from devsynthd.wire.requests import Value
from tests.support.daemon import toml_of

LAST_LINE = "# the last line\n"


class State(Enum):
    """How a person has left the file."""

    WHOLE = "whole"
    BROKEN = "broken"
    AWAY = "away"


class Book:
    """Knows for each key what the file may say: one value, or two while nobody can know.

    Clients set keys side by side; an editor, which knows no lock, has the file to itself.
    """

    def __init__(self, path: Path, values: dict[str, Value]) -> None:
        self.path, self.state, self.broken_text = path, State.WHOLE, ""
        self._may_be: dict[str, list[Value]] = {key: [value] for key, value in values.items()}
        self._mutex = threading.RLock()
        self._free = threading.Condition()
        self._setters, self._edits = 0, False
        self.setting = threading.Event()  # somebody is at it: the best time for an accident
        path.write_text(self.text({}), "utf-8")

    def text(self, changed: dict[str, Value]) -> str:
        """Return the text of a file that says what the whole one says now, and *changed*.

        Only for who has the file alone: what it says is settled by that.
        """
        with self._mutex:
            now = {key: self._value(key) for key in self._may_be}
            self._may_be = {key: [value] for key, value in now.items()}
        return f"# A person's own words.\n{toml_of({**now, **changed})}{LAST_LINE}"

    # Clients ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def asked_to_set(self, key: str, value: Value) -> Iterator[None]:
        """Let the file say *value* too; the block asks for it. One at a time for each key."""
        with self._free:
            self._free.wait_for(lambda: not self._edits)
            self._setters += 1
        with self._mutex:
            self._may_be[key] = [*self._may_be[key], value]
        self.setting.set()
        try:
            yield
        finally:
            self.setting.clear()
            with self._free:
                self._setters -= 1
                self._free.notify_all()

    def acknowledged(self, key: str, value: Value) -> list[str]:
        """Take it that *value* was said to be written; return what is wrong with that."""
        with self._mutex:
            self._may_be[key] = [value]
            return self.problems()

    def refused(self, key: str) -> None:
        """Take it that the last value of *key* is not written, and never will be."""
        with self._mutex:
            del self._may_be[key][-1]

    # Editors ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep clients from setting anything during the block."""
        with self._free:
            self._edits = True  # who comes now waits: else it would never be the editor's turn
            self._free.wait_for(lambda: not self._setters)
        try:
            yield
        finally:
            with self._free:
                self._edits = False
                self._free.notify_all()

    @contextlib.contextmanager
    def unseen(self) -> Iterator[None]:
        """Keep the reader away during the block: the editor does not write atomically."""
        with self._mutex:
            yield

    def edited(self, changed: dict[str, Value]) -> None:
        """Take it that the file is whole, and says what it said and *changed*."""
        with self._mutex:
            self._may_be.update({key: [value] for key, value in changed.items()})
            self.state = State.WHOLE

    # The reader ------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Return what is wrong with the file as it is now."""
        with self._mutex:
            if self.state is State.AWAY:
                return ["it is there again"] if self.path.exists() else []
            text = self.path.read_text("utf-8")
            if self.state is State.BROKEN:
                return [] if text == self.broken_text else [f"a mistake was overwritten:\n{text}"]
            try:
                found = _flat(tomllib.loads(text))
            except tomllib.TOMLDecodeError as exc:
                return [f"it is no TOML, {exc}:\n{text}"]
            problems = [] if text.endswith(LAST_LINE) else [f"its end is missing:\n{text}"]
            return problems + [
                f"{key}: expected {' or '.join(map(repr, values))}, found {found.get(key)!r}"
                for key, values in self._may_be.items()
                if found.get(key) not in values
            ]

    def _value(self, key: str) -> Value:
        """Return what *key* is, by what the file says where there are two ways."""
        values = self._may_be[key]
        if len(values) > 1:
            found = _flat(tomllib.loads(self.path.read_text("utf-8"))).get(key)
            return next((value for value in values if value == found), values[0])
        return values[0]


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{table}_{name}": value for table, keys in document.items() for name, value in keys.items()
    }
