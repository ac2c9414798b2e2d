"""Whether a message of today is one that was recorded: the same fields with the same values. Pure.

Further fields are allowed, and so are other values where nobody can expect the same twice.
"""

from collections.abc import Iterator, Mapping
from typing import Any

NUMBERS = frozenset(
    {"pid", "uptime_s", "memory_bytes", "request", "time", "fetched_at", "age_s", "load_time_s"}
    | {"queued_s", "waiting_s", "streaming_s", "total_s", "tokens_per_s"}
)
"""Fields whose number, or null, is another each time."""

TEXTS = frozenset({"version", "instance", "message", "hint", "reason", "description"})
"""Fields whose text is another each time, or is for people and may get better."""

GROWING = {"ops": "", "settings": "key"}
"""Lists that get longer from version to version, and what their entries are known by."""


def differences(recorded: Any, today: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - any values
    """Yield where *today* is not what was *recorded*, in words."""
    if isinstance(recorded, dict) and isinstance(today, dict):
        for key, value in recorded.items():
            if key in today:
                yield from differences(value, today[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is gone"
    elif isinstance(recorded, list) and isinstance(today, list):
        known = _matched(recorded, today, path.rpartition(".")[2])
        if len(recorded) != len(known):
            yield f"{path} has {len(known)} entries, not {len(recorded)}"
        for at, (before, now) in enumerate(zip(recorded, known, strict=False)):
            yield from differences(before, now, f"{path}[{at}]")
    elif not _is_like(recorded, today, path.rpartition(".")[2]):
        yield f"{path} is {today!r}, not {recorded!r}"


def moved(value: Any, places: Mapping[str, str]) -> Any:  # noqa: ANN401 - any value
    """Return *value* with the places in its texts replaced: a key by what it stands for."""
    if isinstance(value, dict):
        return {key: moved(each, places) for key, each in value.items()}
    if isinstance(value, list):
        return [moved(each, places) for each in value]
    if isinstance(value, str):
        for old, new in places.items():
            value = value.replace(old, new)
    return value


def _matched(recorded: list[Any], today: list[Any], name: str) -> list[Any]:
    """Return the entries of *today* to compare: where the list grows, those *recorded* too."""
    if name not in GROWING:
        return today
    key = GROWING[name]
    known = {each[key] if key else each for each in recorded}
    return [each for each in today if (each[key] if key else each) in known]


def _is_like(recorded: object, today: object, name: str) -> bool:
    """Return whether *today* may stand where the field *name* was *recorded*."""
    if name in NUMBERS:
        return _is_number_or_null(recorded) and _is_number_or_null(today)
    if type(recorded) is not type(today):
        return False
    return name in TEXTS or recorded == today


def _is_number_or_null(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
