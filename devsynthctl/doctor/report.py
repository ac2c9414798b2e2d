"""A report to attach to a bug report, as Markdown that a person can look through. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from devsynthctl.doctor.facts import Facts
from devsynthctl.doctor.trouble import Finding
from devsynthctl.doctor.variables import variable_lines
from devsynthctl.render import models, settings
from devsynthctl.render.status import flat
from devsynthctl.render.text import cell

_INTRODUCTION = (
    "Made by `devsynthctl doctor --report`. It has no prompts and no answers. API keys and",
    "passwords, your name, your home directory and the name of this machine are taken out as far",
    "as they could be recognised: look through it before you send it.",
)
_NO_LOG = "none was found: a daemon that was started by hand logs to where it was started"
_MAX_LINE = 500


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the report has besides the facts; *log* null: there is none that could be read."""

    made_at: str
    versions: Mapping[str, str]
    environ: Mapping[str, str]
    log: Sequence[str] | None


def report_text(findings: Iterable[Finding], facts: Facts, around: Surroundings) -> str:
    """Return the report, which is still to be scrubbed."""
    sections = (
        ("Versions", (f"{name}: {version}" for name, version in around.versions.items())),
        ("Checks", _checks(findings)),
        ("Status", _status(facts)),
        ("Settings", _settings(facts)),
        ("Variables of this shell", variable_lines(around.environ)),
        ("Models", _models(facts)),
        ("Service", _service(facts)),
        ("Log, the last lines", around.log or [_NO_LOG]),
    )
    lines = [f"# devsynth, {around.made_at}", "", *_INTRODUCTION]
    for title, content in sections:
        lines += ["", f"## {title}", "", *(f"    {cell(line)[:_MAX_LINE]}" for line in content)]
    return "\n".join(lines) + "\n"


def _checks(findings: Iterable[Finding]) -> Iterator[str]:
    for each in findings:
        message = "; ".join(each.message.splitlines())
        yield f"{each.state:<8}{each.name:<12}{message} ({each.duration_s:.3f} s)"
        if each.remedy:
            yield f"{'':<20}to mend it: {each.remedy}"


def _status(facts: Facts) -> Iterator[str]:
    if facts.status is None:
        yield "no daemon answered"
        return
    told = _plain(facts.status)
    del told["requests"]  # their ids are free text of the clients
    yield from (f"{name} = {value}" for name, value in flat(told))


def _settings(facts: Facts) -> Iterator[str]:
    if facts.settings is None:
        yield "no daemon answered; one started from this shell would have:"
    for info in facts.settings or facts.settings_here or ():
        yield f"{info.key} = {settings.value_text(info.value)} ({info.source})"


def _models(facts: Facts) -> Iterator[str]:
    if not facts.models:
        yield "none" if facts.models is not None else "no list"
        return
    yield ", ".join(models.COLUMNS)
    yield from (", ".join(models.row(model)) for model in facts.models)


def _service(facts: Facts) -> Iterator[str]:
    if facts.service is None:
        yield "no service manager"
        return
    yield from (f"{name} = {value}" for name, value in flat(_plain(facts.service)))


def _plain(told: Struct) -> dict[str, Any]:
    """Return *told* as JSON has it."""
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return value
