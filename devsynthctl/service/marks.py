"""Tells files that we wrote from those that a person has edited since. Pure."""

import difflib
import hashlib
import re
from typing import Literal

State = Literal["absent", "current", "outdated", "edited"]
"""Of a file: it is not there; as it would be written now; as an earlier install wrote it; else."""

_MARK = re.compile(
    r"(?:# |<!-- )Written by `devsynthctl service install`; checksum ([0-9a-f]{32})(?: -->)?\n"
)
_XML = re.compile(r"<\?xml [^\n]*\?>\n")


def stamped(body: str) -> str:
    """Return *body* with a mark in its first line, or behind the declaration that XML begins with.

    The mark has a checksum of all the rest.
    """
    text = f"Written by `devsynthctl service install`; checksum {_checksum(body)}"
    declaration = _XML.match(body)
    if declaration is None:
        return f"# {text}\n{body}"
    return f"{declaration[0]}<!-- {text} -->\n{body[declaration.end() :]}"


def is_ours(content: str) -> bool:
    """Return whether *content* has our mark, and is as it was when it got it."""
    declaration = _XML.match(content)
    mark = _MARK.match(content, declaration.end() if declaration else 0)
    if mark is None:
        return False
    body = content[: mark.start()] + content[mark.end() :]
    return mark[1] == _checksum(body)


def judged(content: str | None, wanted: str) -> State:
    """Return the state of a file with *content*, null if there is none, that should be *wanted*."""
    if content is None:
        return "absent"
    if content == wanted:
        return "current"
    return "outdated" if is_ours(content) else "edited"


def difference(name: str, before: str, after: str) -> str:
    """Return the unified diff from *before* to *after*, but for marks; empty if there is none."""
    lines = difflib.unified_diff(
        _MARK.sub("", before, count=1).splitlines(),
        _MARK.sub("", after, count=1).splitlines(),
        f"{name} (there)",
        f"{name} (wanted)",
        n=1,
        lineterm="",
    )
    return "".join(f"{line}\n" for line in lines)


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:32]
