"""Which source wins: flag, environment, file, default. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from devsynthd.settings.schema import BY_KEY, SETTINGS, TABLES, Settings
from devsynthd.settings.values import NotAllowed, parse_value, refusal, typed_value
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import Value

Source = Literal["flag", "env", "file", "default"]

CORRECT_FLAG = "correct the flag"
CORRECT_VARIABLE = "correct the variable, or clear it with `unset`"


class Given(Struct, frozen=True, kw_only=True):
    """What one source gives: checked values by key, and a line about each fault.

    *remedy* is what to do about those, if there are any.
    """

    values: Mapping[str, Value] = {}
    errors: tuple[str, ...] = ()
    remedy: str = ""
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:  # without values, as they may be secret
        return f"Given(keys={list(self.values)}, errors={self.errors}, warnings={self.warnings})"


class Loaded(Struct, frozen=True, kw_only=True):
    """The settings in force and where each comes from.

    *exists* says whether there is a file, *in_file* what it sets; *overrides* are the keys that it
    sets in vain, because the environment or a flag sets them too.
    """

    settings: Settings
    sources: dict[str, Source]
    warnings: tuple[str, ...]
    exists: bool
    in_file: Mapping[str, Value] = {}
    overrides: tuple[str, ...] = ()

    def __repr__(self) -> str:  # Settings masks what is secret, and in_file is left out
        return f"Loaded(settings={self.settings!r}, sources={self.sources})"


def given_by_flags(flags: Mapping[str, object]) -> Given:
    """Return what *flags* set, values by key; null is a flag that was not given.

    Text is read like a variable, anything else is taken as typed.
    """
    values: dict[str, Value] = {}
    errors = []
    for key, value in flags.items():
        if value is None:
            continue
        setting = BY_KEY[key]
        try:
            values[key] = typed_value(setting, value)
        except NotAllowed as exc:
            flag = f"--{setting.name.replace('_', '-')}"
            errors.append(refusal(setting, flag, value, exc))
    return Given(values=values, errors=tuple(errors), remedy=CORRECT_FLAG if errors else "")


def given_by_environment(environ: Mapping[str, str]) -> Given:
    """Return what the variables of *environ* set; an empty one counts as unset."""
    values: dict[str, Value] = {}
    errors = []
    for setting in SETTINGS:
        if text := environ.get(setting.env):
            try:
                values[setting.key] = parse_value(setting, text)
            except NotAllowed as exc:
                errors.append(refusal(setting, setting.env, text, exc))
    return Given(
        values=values,
        errors=tuple(errors),
        remedy=CORRECT_VARIABLE if errors else "",
        warnings=_unknown_variables(environ),
    )


def combine(*, flags: Given, environment: Given, file: Given | None) -> Loaded:
    """Return the settings that hold when each source has given its part; *file* null: no file.

    Raises:
        ConfigInvalid: A source has faults. All of them are told, a line each.
    """
    layers: tuple[tuple[Source, Given], ...] = (
        ("flag", flags),
        ("env", environment),
        ("file", file or Given()),
    )
    errors = [error for _, given in layers for error in given.errors]
    if errors:
        raise ConfigInvalid(
            "\n".join(errors),
            hint="; ".join(given.remedy for _, given in layers if given.remedy) or None,
            details={"errors": errors},
        )
    sources: dict[str, Source] = {}
    values: dict[str, Value] = {}
    for key in BY_KEY:
        sources[key] = "default"
        for source, given in layers:
            if key in given.values:
                sources[key], values[key] = source, given.values[key]
                break
    in_file = file.values if file else {}
    return Loaded(
        settings=msgspec.convert(values, Settings),
        sources=sources,
        warnings=tuple(warning for _, given in layers for warning in given.warnings),
        exists=file is not None,
        in_file=in_file,
        overrides=tuple(key for key in BY_KEY if key in in_file and sources[key] != "file"),
    )


def _unknown_variables(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return a warning for each variable that looks like one of ours but is none."""
    ours = tuple(f"DEVSYNTH_{table.upper()}_" for table in TABLES)
    known = [setting.env for setting in SETTINGS]
    unknown = [
        name
        for name, text in environ.items()
        if text and name.startswith(ours) and name not in known
    ]
    return tuple(_unknown_variable(name, nearest(name, known)) for name in sorted(unknown))


def _unknown_variable(name: str, close: str | None) -> str:
    meant = f"did you mean {close}?" if close else "no setting has a similar name"
    return f"the variable {ascii(name[:64])[1:-1]} is ignored, there is no such setting: {meant}"
