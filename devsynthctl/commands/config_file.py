"""``config path``, ``edit``, ``check`` and ``schema``: the config file as a whole."""

from contextlib import suppress
from pathlib import Path

import click
import msgspec
from msgspec import Raw, msgpack

from devsynthctl.app import App
from devsynthctl.client import Client
from devsynthctl.options import as_json
from devsynthctl.render.text import cell, escaped
from devsynthctl.settings_access import (
    client_if_any,
    is_same_file,
    local_path,
    tell_who_can_read,
)
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.text import named


@click.command()
@as_json
@click.pass_obj
def path(app: App) -> None:
    """Write where the config file is, whether or not it exists."""
    with client_if_any(app) as client:
        found = client.status().config.path if client else named(local_path())

    def show() -> None:
        app.print(f"{cell(found)}\n")
        if note := other_file_note(found):
            app.note(note)

    app.answer(Raw(msgpack.encode({"path": found})), show)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def check(app: App, *, file: Path | None) -> None:
    """Check the config file, or FILE, and name all faults.

    Variables and flags, which win over the file, are not looked at.
    """
    from devsynthd.settings.file import given_by_file  # noqa: PLC0415 - slow, and for this only

    with client_if_any(app) as client:
        status = client.status() if client else None
        checked = file or (Path(status.config.path) if status else local_path())
        given = given_by_file(checked)
        errors = given.errors if given else ()
        if given and not errors and (bundle := given.values.get("llm_ca_bundle")):
            errors = _fault_of_bundle(str(bundle))
        if client and status and is_same_file(checked, status.config.path):
            errors = errors or (() if status.config.valid else _refused(client, status.pid))
    name = named(checked)
    if file and given is None:
        raise ConfigInvalid(f"{name} does not exist")
    if errors:
        raise ConfigInvalid("\n".join(errors), details={"path": name, "errors": list(errors)})
    text = "is valid" if given else "does not exist: the defaults hold"
    result = {"path": name, "valid": True, "errors": []}
    app.answer(Raw(msgpack.encode(result)), lambda: app.print(f"{cell(name)} {text}\n"))
    if given and given.values.get("llm_api_key"):
        tell_who_can_read(app, checked)


@click.command()
@as_json
@click.pass_obj
def edit(app: App) -> None:
    """Edit the config file, and save it if it is valid.

    That is in $VISUAL, else $EDITOR, else what the machine has. A daemon that runs takes it up.
    Where there is none yet, you start from one that explains every setting.
    """
    from devsynthctl.editing import edit_settings  # noqa: PLC0415 - slow, and for this only

    edit_settings(app)


@click.command()
@as_json
@click.pass_obj
def schema(app: App) -> None:
    """Write the JSON Schema of the config file.

    Editors complete and check the file by it.
    """
    from devsynthd.settings.editor_schema import file_schema  # noqa: PLC0415 - slow

    told = file_schema()
    text = msgspec.json.format(msgspec.json.encode(told), indent=2).decode()
    app.answer(Raw(msgpack.encode(told)), lambda: app.print(f"{escaped(text)}\n"))


def other_file_note(daemons: str) -> str | None:
    """Return what to tell if a daemon started from this shell would read another file, or null."""
    with suppress(ConfigInvalid):  # this shell has none at all
        ours = local_path()
        if not is_same_file(ours, daemons):
            return f"the daemon reads {daemons}; one started from this shell would read {ours}"
    return None


def _fault_of_bundle(bundle: str) -> tuple[str, ...]:
    from devsynthd.host.paths import absolute  # noqa: PLC0415 - rarely needed
    from devsynthd.settings.trust import check_ca_bundle  # noqa: PLC0415 - rarely needed

    try:
        check_ca_bundle(absolute(bundle))
    except ConfigInvalid as exc:
        return (str(exc),)
    return ()


def _refused(client: Client, pid: int) -> tuple[str, ...]:
    """Return why the daemon does not take its file, which is valid by itself.

    It has to look anew: the file may have been mended a moment ago.
    """
    try:
        client.reload()
    except ConfigInvalid as exc:
        return (f"the daemon (pid {pid}) does not take it: {exc}",)
    return ()
