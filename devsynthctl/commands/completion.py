"""``completion``: what makes a shell complete the command line."""

import os

import click

from devsynthctl.app import App
from devsynthctl.completion.outline import command, read_outline
from devsynthctl.completion.shells import SHELLS
from devsynthctl.completion.values import type_of

_PROGRAM = "devsynthctl"
_VARIABLE = "_DEVSYNTHCTL_COMPLETE"
"""Set by the script, as click does it, when the shell asks."""


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)), required=False, metavar="SHELL")
@click.pass_obj
def completion(app: App, *, shell: str | None) -> None:
    """Write the script that makes SHELL complete commands, options, models and settings.

    SHELL is bash, zsh or fish. The first lines of the script say where it goes; for now:
    source <(devsynthctl completion bash). The models are those that the daemon has listed last,
    whether or not it runs.
    """
    if shell is None:
        raise click.UsageError("which shell? Give bash, zsh or fish")
    asked = os.environ.get(_VARIABLE) == f"{shell}_complete"
    outline = command(read_outline(), type_of)
    answering = SHELLS[shell](outline, {}, _PROGRAM, _VARIABLE)
    app.print(answering.complete() + "\n" if asked else answering.source())
