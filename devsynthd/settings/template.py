"""The config file that a new user starts with: every setting as a comment. Pure."""

import json
import textwrap

from devsynthd.settings.schema import BY_KEY, SETTINGS, TABLES, Setting
from devsynthd.wire.requests import Value

MAX_COLUMNS = 100

_HOW = (
    'The settings of devsynthd, each with its default. To change one, take away the "# " before '
    "its name and write your value. The daemon takes up changes as soon as this file is saved; "
    "while there is a mistake in it, what was in force stays in force, and "
    "`devsynthctl config check` names the line."
)
_WHAT_WINS = (
    f"A variable like {BY_KEY['llm_model'].env}, where the daemon has it, wins over what stands "
    "here. `devsynthctl config list` shows what is in force and where it comes from."
)
_SECRET = "With a value here, this file must stay private: `chmod 600` it."  # noqa: S105 - a sentence


def default_file() -> str:
    """Return the text of the file. It sets nothing: of each table only the header is live.

    The last line about a setting is ``# name = default``, and no other comment has that form.
    """
    head = f"{_comment(_HOW)}#\n{_comment(_WHAT_WINS)}"
    return "\n".join([head, *map(_table, TABLES)])


def toml_value(value: Value) -> str:
    """Return the *value* of a setting as TOML."""
    return json.dumps(value, ensure_ascii=False)


def _table(table: str) -> str:
    return "\n".join([f"[{table}]\n", *(_entry(s) for s in SETTINGS if s.table == table)])


def _entry(setting: Setting) -> str:
    texts = [setting.meaning, f"Takes {setting.limits}.", *([_SECRET] if setting.secret else [])]
    return f"{''.join(map(_comment, texts))}# {setting.name} = {toml_value(setting.default)}\n"


def _comment(text: str) -> str:
    """Return *text* as lines of comment."""
    lines = textwrap.wrap(text, MAX_COLUMNS - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)
