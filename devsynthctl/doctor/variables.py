"""What a report tells of the variables of a shell: no more than can be no secret. Pure."""

import re
from collections.abc import Iterator, Mapping

from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.setting import Setting
from devsynthd.settings.values import NotAllowed, parse_value

_OURS = "DEVSYNTH_"
_SETTINGS: Mapping[str, Setting] = {setting.env: setting for setting in BY_KEY.values()}
_HARMLESS = frozenset(
    {
        *("DEVSYNTH_SOCKET", "DEVSYNTH_CONFIG"),
        *("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"),
        *("XDG_RUNTIME_DIR", "XDG_SESSION_TYPE"),
        *("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_NUMERIC", "LC_TIME", "TERM", "NO_COLOR"),
        *("PYTHONPATH", "VIRTUAL_ENV", "JOURNAL_STREAM"),
        *("NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
    }
)
_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
_HOST_AND_PORT = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://)?(?:.*@)?(?P<found>(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?)/?",
    re.ASCII | re.IGNORECASE,
)


def variable_lines(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the variables in *environ* that matter, a line each.

    Those whose values are known to be harmless are told with them, proxies with host and port, all
    others without.
    """
    for name in sorted(environ):
        if name.upper() in _PROXIES | _HARMLESS or name.startswith(_OURS):
            told = _told(name, environ[name])
            yield f"{name} is set" if told is None else f"{name}={told}"


def _told(name: str, text: str) -> str | None:
    """Return what may be told of the value *text*; null: nothing."""
    if name.upper() in _HARMLESS:
        return text
    if name.upper() in _PROXIES:
        place = _HOST_AND_PORT.fullmatch(text)
        return place["found"] if place else None
    setting = _SETTINGS.get(name)
    if setting is None or setting.secret:
        return None
    try:
        parse_value(setting, text)
    except NotAllowed:
        return None
    return text
