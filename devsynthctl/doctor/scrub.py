"""Takes out of a text what nobody else is to know: keys, passwords, who and where. Pure."""

import re
from collections.abc import Iterable

from devsynthd.host.redaction import MASK, Redaction

_TOKENS = re.compile(r"\bsk-[\w:.*-]{6,}")
_AUTHORIZATION = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\"'\n,;]+")
_NAMED = re.compile(
    r"(?i)\b(\w*(?:api_?key|token|password|passwd|secret)\w*[\"']?[ \t]*[=:][ \t]*)"
    r"([\"']?)[^\s\"',;(]+"
)
_COUNTS = re.compile(r"(?i)tokens|token_timeout")
_MIN_NAME_CHARACTERS = 2
_NO_ONE = frozenset({"root", "user", "nobody", "localhost"})
"""Names that tell nothing of anybody."""


class Scrub:
    """Scrubs texts.

    Args:
        secrets: API keys that are known.
        home: The user's home directory; null: none.
        user: The user's name.
        hosts: Names of this machine.
    """

    def __init__(
        self,
        secrets: Iterable[str],
        *,
        home: str | None = None,
        user: str | None = None,
        hosts: Iterable[str] = (),
    ) -> None:
        self._redaction = Redaction(*secrets)
        self._places: list[tuple[re.Pattern[str], str]] = []
        if home and home.rstrip("/"):
            self._places.append((re.compile(rf"{re.escape(home.rstrip('/'))}(?![\w.-])"), "~"))
        names = [(name, "HOST") for name in sorted(set(hosts), key=len, reverse=True)]
        names += [(user, "USER")] if user else []
        for name, shown in names:
            if len(name) >= _MIN_NAME_CHARACTERS and name not in _NO_ONE:
                pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
                self._places.append((pattern, shown))

    def secrets(self, text: str) -> str:
        """Return *text* without keys and passwords."""
        return _TOKENS.sub(MASK, self._redaction.text(text))

    def all(self, text: str) -> str:
        """Return *text* without them, and without who and where this is."""
        text = _AUTHORIZATION.sub(rf"\1{MASK}", self.secrets(text))
        text = _NAMED.sub(_masked, text)
        for pattern, shown in self._places:
            text = pattern.sub(shown, text)
        return text


def _masked(found: re.Match[str]) -> str:
    """Return the name of a secret with its value masked; settings that count tokens are none."""
    return found[0] if _COUNTS.search(found[1]) else f"{found[1]}{found[2]}{MASK}"
