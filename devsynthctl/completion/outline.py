"""An outline of the command line, without the code behind it: what can be typed, and its help.

It is kept in ``outline.json``, which `devsynthctl.completion.survey` writes: importing each command
whenever somebody presses Tab would take longer than a person likes to wait.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec
from click.shell_completion import CompletionItem
from msgspec import Struct

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
    Item = CompletionItem[str]
else:  # generic in newer versions only
    ParamType = click.ParamType
    Item = CompletionItem

FILE = Path(__file__).with_name("outline.json")


class TypeOutline(Struct, frozen=True, omit_defaults=True):
    """Of which type a value is, in click's words; *choices* if it is one of a few."""

    param_type: str
    choices: tuple[str, ...] = ()
    file_okay: bool = True


class ParameterOutline(Struct, frozen=True, omit_defaults=True):
    """An option or an argument; its *nargs* is -1 if there may be any number."""

    name: str
    param_type_name: Literal["option", "argument"]
    opts: tuple[str, ...]
    type: TypeOutline
    secondary_opts: tuple[str, ...] = ()
    nargs: int = 1
    multiple: bool = False
    is_flag: bool = False
    hidden: bool = False
    help: str | None = None


class CommandOutline(Struct, frozen=True, omit_defaults=True):
    """A command; *commands* are those below it, null if it has none."""

    params: tuple[ParameterOutline, ...]
    help: str | None = None
    hidden: bool = False
    commands: "dict[str, CommandOutline] | None" = None


TypeOf = Callable[[tuple[str, ...], str], ParamType | None]
"""Returns what completes a parameter, by the path of its command and its name; null: click does."""


def read_outline() -> CommandOutline:
    """Return the outline of ``devsynthctl``."""
    return msgspec.json.decode(FILE.read_bytes(), type=CommandOutline)


def command(outline: CommandOutline, type_of: TypeOf, path: tuple[str, ...] = ()) -> click.Command:
    """Return a click command that can be completed like the one in *outline*, but does nothing.

    *path* is made of the names from the root to it, without that of the root.
    """
    params = [_parameter(each, type_of(path, each.name)) for each in outline.params]
    name = path[-1] if path else None
    if outline.commands is None:
        return click.Command(
            name,
            params=params,
            help=outline.help,
            hidden=outline.hidden,
            add_help_option=False,  # it is among the parameters
            context_settings={"ignore_unknown_options": True},  # -5 may be text
        )
    below = {
        each: command(inner, type_of, (*path, each)) for each, inner in outline.commands.items()
    }
    return click.Group(
        name,
        commands=below,
        params=params,
        help=outline.help,
        hidden=outline.hidden,
        add_help_option=False,
    )


def _parameter(outline: ParameterOutline, kind: ParamType | None) -> click.Parameter:
    kind = kind or _type(outline.type)
    if outline.param_type_name == "argument":
        return click.Argument([outline.name], type=kind, nargs=outline.nargs, required=False)
    names = [outline.name, *outline.opts]
    if outline.is_flag:
        if outline.secondary_opts:
            names[1:] = ["/".join((outline.opts[0], outline.secondary_opts[0]))]
        return click.Option(names, is_flag=True, help=outline.help, hidden=outline.hidden)
    return click.Option(
        names,
        type=kind,
        nargs=outline.nargs,
        multiple=outline.multiple,
        help=outline.help,
        hidden=outline.hidden,
    )


def _type(outline: TypeOutline) -> ParamType:
    match outline.param_type:
        case "Choice":
            return click.Choice(outline.choices)
        case "Path" | "File":
            return click.Path(file_okay=outline.file_okay)
        case _:
            return click.UNPROCESSED
