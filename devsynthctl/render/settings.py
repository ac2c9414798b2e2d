"""The settings: as rows of a table, and what became of a change, as lines. Pure."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from devsynthctl.render.text import cell
from devsynthd.wire.objects import SettingInfo
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingOutcome

COLUMNS = ("key", "value", "source", "description")
DIFFERENCE_COLUMNS = ("key", "value", "default", "source")

LONG_COLUMNS = ("value", "default", "description")
"""Those whose text may be of any length."""

AT_ONCE = "at once"
"""When a change of most settings is in force; of the others, the schema says when."""


class Place(Struct, frozen=True):
    """The config file that was written to, and the daemon that runs; *pid* null: none does.

    *instead* is the file that it reads, if that is another one.
    """

    path: str
    pid: int | None
    instead: str | None = None


class Change(Struct, frozen=True, kw_only=True):
    """What became of one setting, and when such a change is in force."""

    outcome: SettingOutcome
    in_force: str

    @property
    def is_plain(self) -> bool:
        """Whether what the file says of it now, be it nothing, is in force already."""
        outcome = self.outcome
        if outcome.value is None:
            return outcome.source == "default" and self.in_force == AT_ONCE
        is_taken = outcome.source == "file" and outcome.value == outcome.effective
        return is_taken and self.in_force == AT_ONCE


def value_text(value: Value) -> str:
    """Return *value* in one line, as a person would write it: true, 300 instead of 300.0."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return cell(str(value))


def row(info: SettingInfo) -> tuple[str, ...]:
    """Return the cells of *info*, in the order of `COLUMNS`."""
    return (info.key, value_text(info.value), info.source, info.description)


def differences(infos: Iterable[SettingInfo]) -> tuple[SettingInfo, ...]:
    """Return those that have another value than their default."""
    return tuple(info for info in infos if info.value != info.default)


def difference_row(info: SettingInfo) -> tuple[str, ...]:
    """Return the cells of *info*, in the order of `DIFFERENCE_COLUMNS`."""
    return (info.key, value_text(info.value), value_text(info.default), info.source)


def setting_line(outcome: SettingOutcome, *, was_set: bool = False) -> str:
    """Tell what the file says now; *was_set*: it set the key until now."""
    if outcome.value is None:
        state = "no longer set" if was_set else "not set"
        return f"{cell(outcome.key)} is {state} in the file\n"
    return f"{cell(outcome.key)} = {_shown(outcome.value)}\n"


def set_note(change: Change, place: Place) -> str:
    """Tell where one setting was written to, or taken from, and what is in force now."""
    outcome = change.outcome
    if outcome.value is not None:
        return f"written to {place.path}; {_next_start(place) or _state(change, place)}"
    if place.pid is None:
        now = f"{_shown(outcome.effective)} ({outcome.source})"
        state = f"no daemon answers: one started from this shell would have {now}"
    else:
        state = _state(change, place)
    return f"{place.path} does not set it; {state}"


def saved_notes(changes: Sequence[Change], place: Place) -> list[str]:
    """Tell where the whole file was written to, and whether *changes* are in force now."""
    done = f"written to {place.path}"
    if place.instead:
        return [f"{done}, but {_daemon(place)} reads {place.instead}"]
    if not changes:
        return [f"{done}; no setting has changed"]
    if next_start := _next_start(place):
        return [f"{done}; {next_start}"]
    if all(change.is_plain for change in changes):
        return [f"{done}; {_daemon(place)} has it in force"]
    rest = [change for change in changes if not change.is_plain]
    told = [f"{change.outcome.key}: {_state(change, place)}" for change in rest]
    if len(rest) < len(changes):
        done += f"; {_daemon(place)} has in force all but what follows"
    return [done, *told]


def _next_start(place: Place) -> str | None:
    return "no daemon answers: it holds from the next start on" if place.pid is None else None


def _daemon(place: Place) -> str:
    return f"the daemon (pid {place.pid})"


def _state(change: Change, place: Place) -> str:
    """Return what a daemon has in force after *change*."""
    outcome, daemon = change.outcome, _daemon(place)
    now = _shown(outcome.effective)
    later = "" if change.in_force == AT_ONCE else f" {change.in_force}"
    if outcome.value is None and outcome.source == "default":
        return f"{daemon} has the default, {now}, in force{later}"
    if outcome.source == "file" and outcome.value == outcome.effective:
        return f"{daemon} has it in force{later}"
    return f"{daemon} goes on with {now} ({outcome.source})"


def _shown(value: Value) -> str:
    return value_text(value) or '""'
