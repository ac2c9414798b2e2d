"""One value of one setting: read from text, checked, shown. Pure."""

import json
import re

import msgspec

from devsynthd.settings.base_url import redact_url, url_problem
from devsynthd.settings.schema import BY_KEY, Setting, Settings
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import Value

MAX_SHOWN_CHARACTERS = 80

_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
# Each digit can be matched in one way only: else a long text would take a quadratic time.
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")


class NotAllowed(ValueError):
    """A value that a setting does not take. The message says why, without quoting the value."""


def check_value(setting: Setting, value: object) -> Value:
    """Return the typed *value* as *setting* holds it: an integral float counts as an integer.

    Raises:
        NotAllowed: It has another type, or is out of the limits. True is no number, 1 no boolean.
    """
    if setting.kind == "integer" and isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        settings = msgspec.convert({setting.key: value}, Settings)
    except msgspec.ValidationError:
        raise NotAllowed(f"it takes {setting.limits}") from None
    checked: Value = getattr(settings, setting.key)
    if setting.check and (problem := setting.check(checked)):
        raise NotAllowed(f"{problem}; it takes {setting.limits}")
    return checked


def parse_value(setting: Setting, text: str) -> Value:
    """Return the value that *text*, as written in the environment, stands for.

    Booleans: true/false, 1/0, yes/no, on/off in any case. Numbers: decimal, white space around
    them does not matter. All else is taken to the letter.

    Raises:
        NotAllowed: It does not parse, or ``check_value`` refuses it.
    """
    bare = text.strip()
    match setting.kind:
        case "boolean" if bare.lower() in _BOOLEANS:
            return _BOOLEANS[bare.lower()]
        case "boolean":
            raise NotAllowed("it takes true or false (or 1/0, yes/no, on/off)")
        case "integer" if _INTEGER.fullmatch(bare):
            return check_value(setting, int(bare))
        case "integer" | "number" if _NUMBER.fullmatch(bare):
            return check_value(setting, float(bare))
        case _:
            return check_value(setting, text)


def typed_value(setting: Setting, value: object) -> Value:
    """Return what *value* stands for: text is read like a variable, all else taken as typed.

    Raises:
        NotAllowed: As ``parse_value`` and ``check_value``.
    """
    return parse_value(setting, value) if isinstance(value, str) else check_value(setting, value)


def find_setting(key: str) -> Setting:
    """Return the setting *key*.

    Raises:
        ConfigInvalid: There is none.
    """
    if setting := BY_KEY.get(key):
        return setting
    key, equals, _ = key.partition("=")
    shown = key[:64] + ("=..." if equals else "")  # what follows may be a secret
    close = nearest(key.lower().removeprefix("devsynth_").replace(".", "_"), BY_KEY)
    raise ConfigInvalid(
        f"there is no setting {shown!a}",
        hint=f"did you mean {close}?" if close else "`devsynthctl config list` shows all of them",
    )


def show_value(setting: Setting, value: object) -> str:
    """Return *value* for a message: short, without control characters, nothing that is secret."""
    if setting.secret:
        return "(hidden)"
    hide = redact_url if setting.check is url_problem else str
    try:
        shown = (
            repr(hide(value)) if isinstance(value, str) else hide(json.dumps(value, default=str))
        )
    except ValueError:  # an integer of thousands of digits
        return "(a very long value)"
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else f"{shown[:MAX_SHOWN_CHARACTERS]}…"


def refusal(setting: Setting, where: str, value: object, reason: NotAllowed) -> str:
    """Return the line that tells a person why *value*, found at *where*, is refused."""
    return f"{where} = {show_value(setting, value)} is not allowed: {reason}"
