"""Makes text from elsewhere fit to be shown and logged."""

import re
from collections.abc import Iterable

from devsynthd.host.redaction import Redaction

MAX_CHARS = 300

_MASK = "***"
_NOTHING_KNOWN = Redaction(mask=_MASK)

_ESCAPES = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # a window title, a link
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # a colour, a cursor movement
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
# Direction changes, zero-width characters, halves of surrogate pairs: unseen, but not harmless.
_UNSEEN = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_TAGS = re.compile(r"</?[A-Za-z!][^<>]*>")
_BEARER = re.compile(r"(?i)\bbearer\s+\S+")


def clean(text: str, secrets: Iterable[str] = (), *, max_chars: int = MAX_CHARS) -> str:
    """Return *text* as one line of at most *max_chars* characters.

    Terminal escapes, control and direction characters, HTML tags and whatever looks like an API
    key or a login in a URL are gone, and so is each of *secrets*, however it is spelt.
    """
    text = _ESCAPES.sub("", text[: 64 * max_chars])
    text = _UNSEEN.sub("", _CONTROLS.sub(" ", text))
    known = tuple(secrets)
    redaction = Redaction(*known, mask=_MASK) if known else _NOTHING_KNOWN
    text = redaction.text(text)  # before the tags go: a key may look like one
    text = redaction.text(_BEARER.sub(_MASK, _TAGS.sub("", text)))
    text = " ".join(text.split())
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
