"""The text of the config file: parsed and checked whole, each fault with its line. Pure."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from devsynthd.settings.positions import KeyPath, key_at, key_lines, line_of
from devsynthd.settings.schema import BY_KEY, SETTINGS, TABLES, Setting
from devsynthd.settings.sources import Given
from devsynthd.settings.values import NotAllowed, check_value, refusal
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import Value

MAX_ERRORS = 100

CORRECT_FILE = "correct what is named above; `devsynthctl config edit` opens the file"

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TWICE = re.compile(r"Cannot (overwrite a value|declare .* twice)")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def given_by_toml(data: bytes, path: str) -> Given:
    """Return what *data* sets, the content of the file *path*."""
    try:
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except UnicodeDecodeError as exc:
        bad_line = data.count(b"\n", 0, exc.start) + 1
        return _faulty(f"{path}, line {bad_line}: this is not UTF-8 text")
    except RecursionError:
        return _faulty(f"{path}: this is not a list of settings: it is nested too deeply")
    except ValueError as exc:  # as a rule TOMLDecodeError, but not for a number of 5,000 digits
        return _faulty(_syntax_error(str(exc), text, path))
    lines = key_lines(text)
    values: dict[str, Value] = {}
    errors = []
    for table, name, value in _entries(document):
        line = line_of(lines, *([table] if name is None else [table, name]))
        place = f"{path}, line {line}" if line else path
        setting = BY_KEY.get(f"{table}_{name}") if table in TABLES else None
        if setting is None:
            errors.append(f"{place}: {_unknown(table, name)}")
            continue
        try:
            values[setting.key] = check_value(setting, value)
        except NotAllowed as exc:
            errors.append(refusal(setting, f"{place}: {_spelling(setting)}", value, exc))
    if (more := len(errors) - MAX_ERRORS) > 0:
        errors[MAX_ERRORS:] = [f"{path}: and {more} more"]
    return Given(values=values, errors=tuple(errors), remedy=CORRECT_FILE if errors else "")


def _faulty(error: str) -> Given:
    return Given(errors=(error,), remedy=CORRECT_FILE)


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, str | None, object]]:
    """Yield table, name and value of all that *document* sets; name null: in none of our tables."""
    for table, content in document.items():
        if table in TABLES and isinstance(content, dict):
            yield from ((table, name, value) for name, value in content.items())
        else:
            yield table, None, content


def _spelling(setting: Setting) -> str:
    return f"[{setting.table}] {setting.name}"


def _unknown(table: str, name: str | None) -> str:
    """Return what is wrong with a key or table that no setting has, and what was meant."""
    if name is None and table in TABLES:
        return f"{table} must be a table: write [{table}], and its keys below"
    label = _label(table) if name is None else f"[{table}] {_label(name)}"
    if meant := _meant(table, table if name is None else name):
        return f"unknown key {label}: did you mean {meant}?"
    names = [s.name for s in SETTINGS if s.table == table] or [f"[{table}]" for table in TABLES]
    return f"unknown key {label}: known are {', '.join(names)}"


def _meant(table: str, written: str) -> str | None:
    """Return what *written* in *table* was probably meant to be, or null."""
    if exact := [setting for setting in SETTINGS if written in (setting.name, setting.key)]:
        return " or ".join(_spelling(setting) for setting in exact)
    if table not in TABLES and (close := nearest(table, list(TABLES))):
        return f"[{close}]"
    known = BY_KEY | {s.name: s for s in SETTINGS if s.table == table}
    close = nearest(written, list(known))
    return _spelling(known[close]) if close else None


def _label(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else ascii(name[:64])


def _syntax_error(message: str, text: str, path: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"{path}: this is not TOML: {message}"
    line = int(place[1] or text.count("\n") + 1)
    column = place[2] or len(text) - text.rfind("\n")
    reason = message[: place.start()]
    if _TWICE.match(reason) and (key := key_at(text, line)):
        first = line_of(key_lines(text), *key) or line
        reason = f"{_path_label(key)} is there twice"
        reason += f", first in line {first}" if first < line else ""
    return f"{path}, line {line}, column {column}: this is not TOML: {reason}"


def _path_label(key: KeyPath) -> str:
    """Return *key* as a person would write it: [table] name, or the [table] alone."""
    *table, name = map(_label, key)
    if not table:
        return f"[{name}]" if name in TABLES else name
    return f"[{'.'.join(table)}] {name}"
