"""Takes secrets out of what is logged."""

import json
import re
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

MASK = "********"

MAX_SECRETS = 8
"""How many keys are remembered. A request that began with an older one may still tell it."""

MAX_EXCERPT = 2000
"""Characters of a prompt or an answer that a line may have."""

_SHORT = 6
"""Characters. What is shorter is masked only where it stands alone: "x" is in half of all words."""

_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]+()")
_IN_URL = re.compile(r"(://)[^/\s\"'<>]*(@)")


class Excerpt:
    """The beginning of a long text, as the value of a field. Masked first, and cut then."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Redaction:
    """Masks the secrets that it was told of, and what looks like one.

    That is a key in a header (``Bearer ...``), and user and password in a URL.
    """

    def __init__(self, *secrets: str) -> None:
        self._secrets: deque[str] = deque(maxlen=MAX_SECRETS)
        self._pattern: re.Pattern[str] | None = None
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask *secret* from now on, also as JSON, Python or a URL would spell it; "" is none."""
        if secret and secret not in self._secrets:
            self._secrets.append(secret)
            spellings = {each for known in self._secrets for each in _spellings(known)}
            longest_first = sorted(spellings, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_pattern, longest_first)))

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        text = _BEARER.sub(_masked, text)
        return _IN_URL.sub(_masked, text) if "://" in text else text

    def value(self, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
        """Return the JSON-like *value* without secrets in its texts."""
        match value:
            case str():
                return self.text(value)
            case Excerpt():
                # What is cut off here cannot be the rest of a secret that stays.
                return _cut(self.text(str(value)[: 8 * MAX_EXCERPT]))
            case Mapping():
                return {self.value(key): self.value(each) for key, each in value.items()}
            case list():
                return [self.value(each) for each in value]
            case _:
                return value


def _masked(match: re.Match[str]) -> str:
    # A function: a template would be looked up for each text, also where nothing matches.
    return f"{match[1]}{MASK}{match[2]}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_EXCERPT else f"{text[: MAX_EXCERPT - 1]}…"


def _spellings(secret: str) -> set[str]:
    return {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}


def _pattern(secret: str) -> str:
    if len(secret) >= _SHORT:
        return re.escape(secret)
    return rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])"
