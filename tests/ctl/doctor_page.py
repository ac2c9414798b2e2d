"""What ``doctor`` checks and says, as tables in the README.

``python -m tests.ctl.doctor_page`` renews them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from devsynthctl.doctor.checks import CHECKS, TROUBLES
from devsynthctl.doctor.trouble import on_page

README = Path(__file__).parents[2] / "README.md"

_BLOCK = re.compile(r"<!-- begin (checks|troubles) -->\n.*?<!-- end -->", re.DOTALL)


def renewed(text: str) -> str:
    """Return the page *text* with its tables of checks and troubles made anew."""

    def block(found: re.Match[str]) -> str:
        rows = "\n".join(_checks() if found[1] == "checks" else _troubles())
        return f"<!-- begin {found[1]} -->\n\n{rows}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def _checks() -> Iterator[str]:
    yield "| check | what is looked at |"
    yield "|---|---|"
    for check in CHECKS:
        yield f"| `{check.name}` | {check.what} |"


def _troubles() -> Iterator[str]:
    yield "| check | doctor says | that means | to mend it |"
    yield "|---|---|---|---|"
    for each in TROUBLES:
        mark = " (!)" if each.state == "warn" else ""
        yield f"| `{each.check}`{mark} | {' | '.join(map(_cell, on_page(each)))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
