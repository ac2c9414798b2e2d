"""What a check comes to, and what can be wrong, as data. Pure."""

import re
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

State = Literal["ok", "warn", "failed", "skipped"]


class Verdict(Struct, frozen=True):
    """What a look came to. *message* may have several lines; *remedy* is what to do, if anything.

    A warning passes: all works, but not as one might think.
    """

    state: State
    message: str
    remedy: str | None = None


Look = Callable[[], Verdict | None]
"""One check, done; null: it does not apply here."""


class Finding(Struct, frozen=True, kw_only=True):
    """One check that is done."""

    name: str
    state: State
    message: str
    remedy: str | None
    duration_s: float


def ok(message: str) -> Verdict:
    """Return that all is well."""
    return Verdict("ok", message)


def skipped(why: str) -> Verdict:
    """Return that nobody looked, and why."""
    return Verdict("skipped", f"not checked: {why}")


class Trouble(Struct, frozen=True, kw_only=True):
    """Something that can be wrong, found by *check*.

    Args:
        says: What doctor says. Fields in braces are filled in; so they are in *remedy*.
        means: What that means, for the page.
        remedy: The command or the action that mends it.
        example: What it says as a rule, for the page, where its own words tell nothing.
    """

    check: str
    says: str
    example: str = ""
    means: str
    remedy: str
    state: Literal["warn", "failed"] = "failed"

    def told(self, **fields: object) -> Verdict:
        """Return it as a verdict, with *fields* filled in."""
        return Verdict(
            self.state, self.says.format_map(fields), self.remedy.format_map(fields) or None
        )


_FIELD = re.compile(r"\{(\w+)\}")
_FILLED = {
    "start": "devsynthctl service start; or, where it is no service: devsynthd &",
    "restart": "devsynthctl service restart",
    "hint": "what it says",
    "quoted": "MODEL",
    "quoted_path": "PATH",
    "quoted_folder": "FOLDER",
    "quoted_theirs": "THEIRS",
    "other": "URL",
}


def on_page(trouble: Trouble) -> tuple[str, str, str]:
    """Return what *trouble* says, means and is mended by, with capitals for what is filled in."""

    def shown(text: str) -> str:
        return _FIELD.sub(lambda found: _FILLED.get(found[1], found[1].upper()), text)

    return shown(trouble.example or trouble.says), trouble.means, shown(trouble.remedy)
