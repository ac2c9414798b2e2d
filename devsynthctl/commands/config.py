"""``config``: the settings, shown and changed, whether or not a daemon runs."""

import os
from pathlib import Path

import click
from msgspec import Raw, msgpack

from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.commands.config_file import (
    check,
    edit,
    other_file_note,
    path,
    schema,
)
from devsynthctl.commands.models import ask_for_model
from devsynthctl.options import TextCommand, as_json
from devsynthctl.render.models import NAME_COLUMNS
from devsynthctl.render.settings import (
    COLUMNS,
    DIFFERENCE_COLUMNS,
    LONG_COLUMNS,
    Change,
    difference_row,
    differences,
    row,
    set_note,
    setting_line,
    value_text,
)
from devsynthctl.secret import read_secret
from devsynthctl.settings_access import (
    DaemonSettings,
    SettingsAccess,
    settings_access,
    tell_who_can_read,
)
from devsynthd.wire.requests import List, Value
from devsynthd.wire.results import Models, SettingOutcome, SettingsReport

ROOMY_COLUMNS = 100
"""A terminal that is as wide shows the meaning of each setting beside it."""


@click.group(invoke_without_command=True)
@click.option("--list-models", is_flag=True, help="List the models: id, name, owner.")
@click.option(
    "--key",
    metavar="KEY",
    help="Show a setting; for llm_model, on a terminal, list the models and ask for one.",
)
@click.option("--value", metavar="VALUE", help="Set the setting of --key to this.")
@as_json
@click.pass_context
def config(ctx: click.Context, *, list_models: bool, key: str | None, value: str | None) -> None:
    """Show and change the settings; without COMMAND, list them.

    They are those of the running daemon. While none runs they are those of the config file and of
    this shell's variables, which a daemon that is started here would have.
    """
    app = ctx.ensure_object(App)
    if ctx.invoked_subcommand is not None:
        if list_models or key is not None or value is not None:
            raise click.UsageError("--list-models, --key and --value go without COMMAND", ctx)
    elif list_models:
        if key is not None or value is not None:
            raise click.UsageError("--list-models goes without --key and --value", ctx)
        _list_models(app)
    elif value is not None:
        if key is None:
            raise click.UsageError("the value of what? Name the setting with --key", ctx)
        _set(app, key, value)
    elif key is None:
        _list(app)
    elif key == "llm_model" and app.on_terminal and app.can_ask and not app.as_json:
        _choose_model(app)
    else:
        _get(app, key)


@config.command("list")
@as_json
@click.pass_obj
def list_(app: App) -> None:
    """List the settings: what holds, and where it comes from."""
    _list(app)


@config.command()
@click.argument("key")
@as_json
@click.pass_obj
def get(app: App, *, key: str) -> None:
    """Write the value of KEY; a secret is masked."""
    _get(app, key)


class _SetCommand(TextCommand):
    """Takes any value that starts with one dash; its help ends with every setting."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse *args*; in a value like ``-dash`` the parser would find a ``-h``."""
        if "--" not in args:
            options = [word for word in args if word == "-h" or word.startswith("--")]
            words = [word for word in args if word not in options]
            args = [*options, "--", *words]
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the settings, and what they take, to the *formatter*."""
        from devsynthd.settings.schema import SETTINGS  # noqa: PLC0415 - slow, and for this only

        with formatter.section("Settings"):
            formatter.write_dl([(setting.key, setting.help) for setting in SETTINGS])


@config.command("set", cls=_SetCommand)
@click.argument("words", nargs=-1, required=True, metavar="KEY [VALUE]")
@as_json
@click.pass_context
def set_(ctx: click.Context, *, words: tuple[str, ...]) -> None:
    """Set KEY to VALUE in the config file.

    A daemon that runs takes it up. A VALUE that starts with two dashes goes behind --. Without
    VALUE, a secret is asked for on a terminal, or read as the first line of standard input.
    """
    from devsynthd.settings.values import find_setting  # noqa: PLC0415 - slow, and for this only

    app = ctx.ensure_object(App)
    setting = find_setting(words[0])
    match words[1:]:
        case (value,):
            _set(app, setting.key, value)
        case () if setting.secret:
            _write(app, setting.key, read_secret(setting.key))
        case ():
            raise click.UsageError(f"which value? {setting.key} takes {setting.limits}", ctx)
        case _:
            raise click.UsageError(
                f"{setting.key} takes one value: put one that has spaces in quotes", ctx
            )


@config.command()
@click.argument("key")
@as_json
@click.pass_obj
def unset(app: App, *, key: str) -> None:
    """Take KEY out of the config file.

    Then its default holds, unless a variable or a flag of the daemon sets it.
    """
    _write(app, key, None)


@config.command()
@as_json
@click.pass_obj
def diff(app: App) -> None:
    """List the settings that differ from their defaults."""
    with settings_access(app) as access:
        infos = differences(read_result(access.get(None), SettingsReport).settings)

    def show() -> None:
        if infos or not app.on_terminal:
            app.print_table(DIFFERENCE_COLUMNS, map(difference_row, infos), LONG_COLUMNS)
        if not infos:
            app.note("every setting has its default")

    app.answer(Raw(msgpack.encode(SettingsReport(settings=infos))), show)
    _tell_caveat(app, access)


for _command in (path, edit, check, schema):
    config.add_command(_command)


# What the spellings have in common -------------------------------------------------------------


def _list(app: App) -> None:
    with settings_access(app) as access:
        result = access.get(None)
        # Of our other variables, the one that the daemon may have otherwise.
        names_file = bool(os.environ.get("DEVSYNTH_CONFIG"))
        file_note = other_file_note(access.place().path) if names_file else None

    def show() -> None:
        from devsynthctl.render.shell import shell_differences  # noqa: PLC0415 - slow

        infos = read_result(result, SettingsReport).settings
        # On a narrow terminal what they mean would leave no room for what they are.
        shown = COLUMNS if app.width >= ROOMY_COLUMNS else COLUMNS[:-1]
        app.print_table(shown, (row(info)[: len(shown)] for info in infos), LONG_COLUMNS)
        for note in shell_differences(os.environ, infos if access.running else ()):
            app.note(note)
        if file_note:
            app.note(file_note)

    app.answer(result, show)
    _tell_caveat(app, access)


def _get(app: App, key: str) -> None:
    with settings_access(app) as access:
        result = access.get(key)

    def show() -> None:
        for info in read_result(result, SettingsReport).settings:
            app.print(f"{value_text(info.value)}\n")

    app.answer(result, show)
    _tell_caveat(app, access)


def _tell_caveat(app: App, access: SettingsAccess) -> None:
    """Tell, with ``--json`` too, if these are not what a person would take them for."""
    if access.caveat:
        app.note(access.caveat)


def _set(app: App, key: str, value: str) -> None:
    """Set what was given on the command line."""
    from devsynthd.settings.values import find_setting  # noqa: PLC0415 - slow

    _write(app, key, value)
    if find_setting(key).secret and value:
        app.note(
            "warning: on the command line, a secret is seen in the list of processes and kept in "
            f"the shell's history; leave it out next time: devsynthctl config set {key}"
        )


def _write(app: App, key: str, value: Value | None) -> None:
    with settings_access(app) as access:
        _write_to(app, access, key, value)


def _write_to(app: App, access: SettingsAccess, key: str, value: Value | None) -> None:
    from devsynthd.settings.values import find_setting  # noqa: PLC0415 - slow

    setting = find_setting(key)
    place = access.place()
    was_set = value is None and _is_set_in(Path(place.path), setting.key)
    result = access.set(setting.key, value)
    outcome = read_result(result, SettingOutcome)
    app.answer(result, lambda: app.print(setting_line(outcome, was_set=was_set)))
    if place.pid is None or not app.as_json:
        app.note(set_note(Change(outcome=outcome, in_force=setting.in_force), place))
    if not app.as_json:
        app.warn(outcome.warnings)
        if access.running and os.environ.get(setting.env):
            _tell_shell_difference(app, access, key)
    if setting.secret and value:
        tell_who_can_read(app, Path(place.path))


def _is_set_in(file: Path, key: str) -> bool:
    from devsynthd.settings.file import given_by_file  # noqa: PLC0415 - slow

    given = given_by_file(file)
    return given is not None and key in given.values


def _tell_shell_difference(app: App, access: SettingsAccess, key: str) -> None:
    """Tell if what this shell has for *key* is something else than what is in force now."""
    from devsynthctl.render.shell import shell_difference  # noqa: PLC0415 - slow
    from devsynthd.settings.sources import given_by_environment  # noqa: PLC0415 - slow

    shell = given_by_environment(os.environ)
    for info in read_result(access.get(key), SettingsReport).settings:
        if note := shell_difference(shell, info):
            app.note(note)


def _list_models(app: App) -> None:
    with app.client() as client:
        result = client.ask(List(id=UNSENT))

    def show() -> None:
        listing = read_result(result, Models)
        rows = ((model.id, model.name, model.owner or "") for model in listing.models)
        app.print_table(NAME_COLUMNS, rows, NAME_COLUMNS)
        app.warn(listing.warnings)

    app.answer(result, show)


def _choose_model(app: App) -> None:
    with app.client() as client:
        model = ask_for_model(app, client)
        if model is not None:
            _write_to(app, DaemonSettings(client), "llm_model", model)
