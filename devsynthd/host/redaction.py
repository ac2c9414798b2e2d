"""Takes secrets out of what is logged or told."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "********"

MAX_SECRETS = 8
"""How many keys are remembered. A request that began with an older one may still tell it."""

MAX_EXCERPT = 2000
"""Characters of a prompt or an answer that a line may have."""

_SHORT = 6
"""Characters. What is shorter is masked only where it stands alone: "x" is in half of all words."""

_MIN_BASE64 = 8
"""Characters. What is shorter could be a part of any other text in base64."""

_HEADER = re.compile(
    r"(?i)(\bbearer\s+|authorization[\"']?\s*[:=]\s*[\"']?(?:[a-z]+\s+(?=[^\s\"',;]))?)"
    r"[^\s\"',;]+()"
)
_KEY = re.compile(r"()\bsk-[\w:.*-]{6,}()")
# A password may have a slash in it, which ends the host of a proper URL. What follows a colon is a
# password then, unless it is a port, behind what looks like a host. Bounded: else a long text of
# many such beginnings would take a quadratic time.
_HOST_AND_PORT = r"(?:localhost|\[[\d:a-f.]*\]|[\w-]+\.[\w.-]*):\d{1,5}/"
_IN_URL = re.compile(
    rf"(://)(?:(?!{_HOST_AND_PORT})[^/\s\"'<>@:]{{0,256}}:[^\s\"'<>]{{0,1024}}"
    r"|[^/\s\"'<>]*)(@)"
)
_HTML = str.maketrans(  # the module html has 300 kB of further names
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
)
_RUN = re.compile(r"[^\s\"'<>]+")  # what no URL goes beyond
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Excerpt:
    """The beginning of a long text, as the value of a field. Masked first, and cut then."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


class Redaction:
    """Masks the secrets that it was told of, and what looks like one.

    That is a key in a header (``Authorization: ...``), or by its beginning (``sk-``), and user and
    password in a URL. *always* are secrets that later ones do not push out; *mask* is what stands
    for one.
    """

    def __init__(self, *secrets: str, always: Iterable[str] = (), mask: str = MASK) -> None:
        self._secrets: deque[str] = deque(maxlen=MAX_SECRETS)
        self._always, self._mask = tuple(filter(None, always)), mask
        self._pattern = _pattern_of(self._always)
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask *secret* from now on, however JSON, a URL, ... would spell it; "" is none."""
        if secret and secret not in self._secrets:
            self._secrets.append(secret)
            self._pattern = _pattern_of((*self._always, *self._secrets))

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(self._mask, text)
        for looks_like_one in (_HEADER, _KEY):
            text = looks_like_one.sub(self._masked, text)
        return _RUN.sub(self._without_logins, text) if "://" in text and "@" in text else text

    def _without_logins(self, run: re.Match[str]) -> str:
        # Not behind the last @: there each "://" would be the beginning of a search in vain.
        before, at, rest = run[0].rpartition("@")
        return _IN_URL.sub(self._masked, before + at) + rest if "://" in before else run[0]

    def _masked(self, match: re.Match[str]) -> str:
        # A function: a template would be looked up for each text, also where nothing matches.
        return f"{match[1]}{self._mask}{match[2]}"

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


def passwords_of(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the passwords in the URLs of the proxies that *environ* names, as they stand there."""
    return passwords_in(url for name, url in environ.items() if name.lower() in _PROXIES)


def passwords_in(urls: Iterable[str]) -> tuple[str, ...]:
    """Return the passwords in *urls*, which need not be valid; a user without one is taken as one.

    What is too short to be told from other text is left out.
    """
    logins = [url.rpartition("@")[0] for url in urls]
    bare = [login.partition("://")[2] or login for login in logins]
    found = [login.partition(":")[2] or login for login in bare]
    return tuple(dict.fromkeys(each for each in found if len(each) >= _SHORT))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_EXCERPT else f"{text[: MAX_EXCERPT - 1]}…"


def _pattern_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Return what finds each of *secrets*, none of them empty; null: there is none."""
    spellings = {each for secret in secrets for each in _spellings(secret)}
    spellings |= {json.dumps(each)[1:-1] for each in spellings}  # whatever it was, as JSON told it
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(map(_pattern, longest_first))) if spellings else None


def _spellings(secret: str) -> Iterator[str]:
    # A proxy is sent it without the percents.
    plain = dict.fromkeys((secret, unquote(secret, errors="surrogateescape")))
    for each in filter(None, plain):
        encoded = each.encode(errors="surrogateescape")  # a variable may be no text
        quoted = quote(encoded, safe="")
        yield from (each, json.dumps(each)[1:-1], repr(each)[1:-1], quoted, quote(encoded))
        yield from (re.sub("%..", lambda found: found[0].lower(), quoted), each.translate(_HTML))
        yield each.replace("/", "\\/")
        yield from _in_base64(encoded)


def _in_base64(secret: bytes) -> Iterator[str]:
    """Yield what base64 makes of *secret* wherever it begins in what is encoded."""
    for encode in (b64encode, urlsafe_b64encode):
        for ahead in range(3):
            # The first and the last characters are made of its neighbours, too.
            first = (0, 2, 3)[ahead]
            end = (ahead + len(secret)) * 8 // 6
            found = encode(bytes(ahead) + secret).decode()[first:end]
            if len(found) >= _MIN_BASE64:
                yield found


def _pattern(secret: str) -> str:
    if len(secret) >= _SHORT:
        return re.escape(secret)
    return rf"(?<![^\W_]){re.escape(secret)}(?![^\W_])"
