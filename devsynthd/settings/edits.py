"""The text of the config file with some settings changed, and all else as a person left it. Pure.

tomlkit reads the lines and writes values. Where a line belongs and what remains of a removed one
is decided here, since tomlkit (0.13 to 0.15) puts a new key behind the comments of the next table,
drops the comment of a removed one, writes LF in a CRLF file and ends every file with a newline.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AoT, Comment, InlineTable, Item, Key, Table

from devsynthd.settings.document import given_by_toml
from devsynthd.settings.schema import BY_KEY, Setting
from devsynthd.settings.values import NotAllowed, check_value
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value

_BOM = "\ufeff"
_HEADER = re.compile(r"#\s*\[")

Document = Mapping[str, Any]
Change = tuple[Setting, Value | None]
Entry = tuple[Key | None, Item]
"""A line or more of a document as tomlkit has it; the key is null for comments and blank lines."""


def edited(text: str, edits: Mapping[str, Value | None], path: str) -> str:
    """Return *text*, the content of the file *path*, with *edits* in it.

    Only the lines of the settings that change are touched. A new key goes below the comment that
    shows it (``# model = ""``), else below the last key of its table; a missing table is appended.
    Comments stay, those behind a removed key too, as do a BOM, the kind of line ends and whether
    the last line has one. Where the file says so already, nothing changes.

    Args:
        text: What the file holds, the BOM included; empty if there is none.
        edits: Checked values by the key of their setting; null removes the setting.
        path: For messages.

    Raises:
        ConfigInvalid: *text* is not TOML, or is written in a way that cannot be edited here.
    """
    before = _parsed(text, path)
    wanted = [(BY_KEY[key], value) for key, value in edits.items()]
    changes = [change for change in wanted if not _holds(before, change)]
    if not changes:
        return text
    try:
        new = _with_changes(text, changes)
        after = tomllib.loads(new.removeprefix(_BOM))
        if _others(before, changes) != _others(after, changes) or not all(
            _holds(after, change) for change in changes
        ):
            raise ValueError("something else than what was wanted would change")
    except Exception as exc:  # tomlkit fails in many ways, and each of them means this
        errors = given_by_toml(text.encode(), path).errors
        raise ConfigInvalid(
            "\n".join((f"{path} cannot be edited automatically", *errors)),
            hint="`devsynthctl config edit` opens it in your editor",
        ) from exc
    return new


def _parsed(text: str, path: str) -> Document:
    try:
        return tomllib.loads(text.removeprefix(_BOM))
    except (ValueError, RecursionError) as exc:
        raise ConfigInvalid(
            "\n".join(given_by_toml(text.encode(), path).errors),
            hint="`devsynthctl config edit` opens it in your editor",
        ) from exc


def _holds(document: Document, change: Change) -> bool:
    """Return whether *document* already says what *change* would make it say."""
    setting, value = change
    table = document.get(setting.table)
    written = table.get(setting.name) if isinstance(table, dict) else None
    if written is None or value is None:
        return written is value
    try:
        return check_value(setting, written) == value
    except NotAllowed:
        return False


def _others(document: Document, changes: Sequence[Change]) -> str:
    """Return all that *document* sets apart from *changes*, as text: that tells 1 from 1.0."""
    changed = {(setting.table, setting.name) for setting, _ in changes}
    rest = {
        table: {name: value for name, value in content.items() if (table, name) not in changed}
        if isinstance(content, dict)
        else content
        for table, content in document.items()
    }
    return repr(sorted((table, content) for table, content in rest.items() if content != {}))


def _with_changes(text: str, changes: Sequence[Change]) -> str:
    """Return *text*, which is valid TOML, with *changes*, none of which it holds already."""
    body = text.removeprefix(_BOM)
    bom = text[: len(text) - len(body)]
    newline = "\r\n" if body.partition("\n")[0].endswith("\r") else "\n"
    is_open = body != "" and not body.endswith("\n")
    if is_open:
        body += newline  # so that each line has its end, which is taken away again below
    for setting, value in changes:
        body = _with_change(body, setting, value, newline)
    return bom + (body.removesuffix("\n").removesuffix("\r") if is_open else body)


def _with_change(text: str, setting: Setting, value: Value | None, newline: str) -> str:
    """Return *text*, each line of which has an end, with one change; a new line gets *newline*."""
    document = tomlkit.parse(text)
    if document.as_string() != text:
        raise ValueError("tomlkit does not give back what it read")
    for key, item in document.body:
        if key is None or key.key != setting.table:
            continue
        if isinstance(item, InlineTable):
            if value is None:
                del item[setting.name]
            else:
                item[setting.name] = _plain(value)
        elif isinstance(item, Table) and key.is_dotted():
            _change_lines(document, "", (setting.table, setting.name), value, newline)
        elif isinstance(item, Table) and not item.is_super_table():
            _change_lines(item.value, item.trivia.indent, (setting.name,), value, newline)
        else:
            continue
        return document.as_string()
    gap = newline if text and text.split("\n")[-2].strip() else ""
    return f"{text}{gap}[{setting.table}]{newline}{setting.name} = {_toml(value)}{newline}"


def _change_lines(
    lines: Container, indent: str, path: tuple[str, ...], value: Value | None, newline: str
) -> None:
    """Set or remove *path*, the dotted key as it is spelled in *lines*, the content of a table.

    *indent* is that of the table's header. The body is changed as a list: tomlkit's own ways to
    insert and to remove add and lose blank lines and comments.
    """
    body: list[Entry] = lines.body
    for index, entry in enumerate(body):
        found, item = _key_and_value(*entry)
        if found != path:
            continue
        if value is not None:
            holder = lines if len(path) == 1 else entry[1].value
            holder[path[-1]] = _plain(value)
        elif item.trivia.comment:
            body[index] = (None, Comment(item.trivia))
        else:
            del body[index]
        return
    place = _place(body, path)
    if place:
        indent = _key_and_value(*body[place - 1])[1].trivia.indent
    line = f"{indent}{'.'.join(path)} = {_toml(value)}{newline}"
    body[place:place] = tomlkit.parse(line).body


def _place(body: Sequence[Entry], path: tuple[str, ...]) -> int:
    """Return the index in *body*, the content of a table, where the new key *path* belongs."""
    shown = re.compile(rf"#\s*{re.escape('.'.join(path))}\s*=")
    below_key = below_comment = 0
    is_ours = True
    for number, entry in enumerate(body, start=1):
        key, item = _key_and_value(*entry)
        if key and key[:-1] == path[:-1]:
            below_key = number
        elif isinstance(item, Comment):
            # What follows the header of a table that was commented out is not of this table.
            is_ours = is_ours and not _HEADER.match(item.trivia.comment)
            if is_ours and shown.match(item.trivia.comment):
                below_comment = number
    return below_comment or below_key


def _key_and_value(key: Key | None, item: Item) -> tuple[tuple[str, ...], Item]:
    """Return the dotted key of a line and its value; the key is empty for all that sets nothing."""
    path: tuple[str, ...] = ()
    while key is not None:
        path += (key.key,)
        if not (isinstance(item, Table) and key.is_dotted()):
            break
        key, item = item.value.body[0]  # of a table that stands for ``a.b = 1`` and holds only b
    return ((), item) if isinstance(item, Table | AoT) else (path, item)


def _toml(value: Value | None) -> str:
    return tomlkit.item(_plain(value)).as_string()


def _plain(value: Value | None) -> Value | None:
    """Return *value* as a person would write it: 300, not 300.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
