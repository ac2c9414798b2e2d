"""Takes out of a text what nobody else is to know: keys, passwords, who and where. Pure."""

import re
from collections.abc import Iterable

from devsynthd.host.redaction import MASK, Redaction

_AUTHORIZATION = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?[ \t]*[:=][ \t]*)(?=\S).*")
# What follows a name is masked up to the end of the line: nobody knows where a value ends.
_NAMED = re.compile(
    r"(?i)((?:\b\w*(?:api[-_]?key|token|passw(?:or)?d|passphrase|secret|credential)\w*|[?&]key)"
    r"[\"']?[ \t]*[=:][ \t]*)"
    r"(?!\((?:flag|env|file|default)\)$)(?=\S).*?(?P<source> \((?:flag|env|file|default)\))?$",
    re.MULTILINE,
)
_MASKED = re.compile(r"[\"']?\*{8}[\"']?(?:[\s,;)]|$)")
_USER_IN_URL = re.compile(r"(://)[^\s\"'<>]*@")
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
        return self._redaction.text(text)

    def all(self, text: str) -> str:
        """Return *text* without them, and without who and where this is."""
        # By their names first: what is masked already may be followed by the rest of a secret.
        text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        text = _NAMED.sub(_masked, text)
        text = self.secrets(_USER_IN_URL.sub(rf"\1{MASK}@", text))
        for pattern, shown in self._places:
            text = pattern.sub(shown, text)
        return text


def _masked(found: re.Match[str]) -> str:
    """Return the name of a secret with its value masked; settings that count tokens are none."""
    name, value = found[1], found[0][len(found[1]) :]
    if _COUNTS.search(name) or _MASKED.match(value):
        return found[0]
    return f"{name}{MASK}{found['source'] or ''}"
