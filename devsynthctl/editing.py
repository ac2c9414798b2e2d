"""``config edit``: the config file in a person's editor, saved when it is valid, and taken up."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click
from msgspec import Raw, msgpack
from msgspec.structs import replace

from devsynthctl.app import App
from devsynthctl.client import Client
from devsynthctl.editor import editor_command, private_copy, run_editor
from devsynthctl.errors import ClientError
from devsynthctl.render.settings import Change, Place, saved_notes, setting_line
from devsynthctl.settings_access import (
    client_if_any,
    is_same_file,
    local_path,
    place_of,
    tell_who_can_read,
)
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.file import read_file
from devsynthd.settings.report import masked
from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.store import replace_file
from devsynthd.settings.template import default_file
from devsynthd.wire.errors import ConfigInvalid, DevsynthError
from devsynthd.wire.objects import SettingInfo
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingOutcome
from devsynthd.wire.text import named

InForce = Mapping[str, SettingInfo]
"""What a daemon has in force, by key."""


def edit_settings(app: App) -> None:
    """Have a person edit the config file, save it, and tell what is in force then.

    Raises:
        ConfigInvalid: It is not valid, cannot be written, or was changed by somebody else: what
            the person wrote is kept, and the error says where. Or the daemon does not take it.
        ClientError: The editor failed.
    """
    command = editor_command(os.environ, on_terminal=app.on_terminal and app.reads_terminal)
    path = _path_to_edit(app)
    before = _content(path)
    start = default_file().encode() if before is None else before
    with private_copy(start, "config.toml") as copy:
        after = _edit_until_valid(app, command, copy, start, path)
        if after is not None:
            replace_file(path, after, expected=before)
    result = {"path": named(path), "saved": after is not None, "changed": list[str]()}
    notes, changes = ["nothing changed"], list[Change]()
    new: Mapping[str, Value] = {}
    if after is not None:
        old, new = (given_by_toml(text, str(path)).values for text in (before or b"", after))
        changed = [key for key in BY_KEY if old.get(key) != new.get(key)]
        place, in_force = _take_up(app, path)
        changes = [_change(key, new.get(key), in_force.get(key)) for key in changed]
        notes = saved_notes(changes, place)
        result["changed"] = changed

    def show() -> None:
        app.print("".join(setting_line(change.outcome) for change in changes))
        for note in notes:
            app.note(note)
        if after is not None and new.get("llm_api_key"):
            tell_who_can_read(app, path)

    app.answer(Raw(msgpack.encode(result)), show)


def _path_to_edit(app: App) -> Path:
    """Return the file of the daemon that runs if it is on this machine, else that of this shell."""
    with client_if_any(app) as client:
        if client:
            theirs = Path(client.status().config.path)
            with suppress(PermissionError):  # to look into a folder above it
                if theirs.exists() or theirs.parent.is_dir():
                    return theirs
    return local_path()


def _content(path: Path) -> bytes | None:
    """Return what *path* holds, null if it is not there.

    Raises:
        ConfigInvalid: It is no file, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is not a regular file")
        return read_file(path)
    except OSError as exc:
        raise ConfigInvalid(f"{path} cannot be edited: {exc.strerror or exc}") from exc


def _edit_until_valid(
    app: App, command: list[str], copy: Path, start: bytes, path: Path
) -> bytes | None:
    """Return what a person makes of *start*, the content of *copy*; null if that stays the same.

    Faults are told as those of *path*.

    Raises:
        ConfigInvalid: There are some, and nobody wants to mend them.
        ClientError: The editor failed.
    """
    while True:
        run_editor(command, copy)
        text = _content(copy)
        if text is None:
            raise ClientError("the editor left no file behind: nothing is saved")
        if text == start:
            return None
        errors = given_by_toml(text, str(path)).errors
        if not errors:
            return text
        faults = "\n".join(errors)
        if app.as_json or not app.can_ask:
            raise ConfigInvalid(faults, hint="nothing is saved", details={"errors": list(errors)})
        app.note(faults)
        if not click.confirm("Edit again?", default=True, err=True):
            raise ConfigInvalid(f"nothing is saved: {path} is as it was")


def _take_up(app: App, path: Path) -> tuple[Place, InForce]:
    """Have the daemon take up *path*, which was saved, if one runs and reads that.

    Raises:
        ConfigInvalid: The daemon does not take it.
    """
    try:
        with client_if_any(app) as client:
            return _taken_up(client, path) if client else (Place(str(path), None), {})
    except DevsynthError as exc:
        exc.hint = f"{path} is saved all the same" + (f"; {exc.hint}" if exc.hint else "")
        raise


def _taken_up(client: Client, path: Path) -> tuple[Place, InForce]:
    status = client.status()
    place = place_of(status)
    if not is_same_file(path, place.path):
        return Place(str(path), place.pid, instead=place.path), {}
    try:
        client.reload()
    except ConfigInvalid as exc:
        raise ConfigInvalid(
            f"the daemon (pid {place.pid}) does not take it, and stays as it was: {exc}",
            hint=exc.hint,
            details=exc.details,
        ) from exc
    return place, {info.key: info for info in client.config_get().settings}


def _change(key: str, value: Value | None, in_force: SettingInfo | None) -> Change:
    """Return what became of the setting *key*, of which the file says *value* now.

    *in_force* is what a daemon has; null is what one would have that has nothing but the file.
    """
    setting = BY_KEY[key]
    shown = None if value is None else masked(setting, value)
    outcome = SettingOutcome(
        key=key,
        value=shown,
        effective=setting.default if shown is None else shown,
        source="default" if shown is None else "file",
        warnings=(),
    )
    if in_force:
        outcome = replace(outcome, effective=in_force.value, source=in_force.source)
    return Change(outcome=outcome, in_force=setting.in_force)
