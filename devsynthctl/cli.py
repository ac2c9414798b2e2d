"""The root command: its options, where its commands are, and how a run ends."""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from devsynthctl import exits
from devsynthctl.app import App
from devsynthctl.options import as_json, positive_seconds
from devsynthd import __version__
from devsynthd.wire.errors import BadRequest, Cancelled, DevsynthError
from devsynthd.wire.nearest import nearest

COMMANDS = {
    "models": "models",
    "select": "models",
    "generate": "generation",
    "chat": "chat",
    "embed": "embedding",
    "load": "loading",
    "unload": "loading",
    "download": "loading",
    "status": "daemon",
    "ping": "daemon",
    "ps": "requests",
    "cancel": "requests",
    "config": "config",
    "doctor": "doctor",
    "reload": "daemon",
    "shutdown": "daemon",
    "service": "service",
    "pipe": "pipe",
    "top": "top",
    "events": "events",
    "completion": "completion",
    "schema": "schema",
}
"""The module in `devsynthctl.commands` of each command, imported only when it is used."""


class _LazyGroup(click.Group):
    """A group that imports a command when somebody names it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"devsynthctl.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and (near := nearest(args[0], COMMANDS)):
            raise click.UsageError(f"there is no command {args[0]}: did you mean {near}?", ctx)
        return super().resolve_command(ctx, args)


@click.command(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--socket", metavar="ADDR", help="The daemon's socket: ipc://PATH or a path.")
@click.option(
    "--timeout", type=positive_seconds, metavar="S", help="Seconds until a request is given up."
)
@as_json
@click.option("--no-color", is_flag=True, help="Write without colours; so does NO_COLOR.")
@click.version_option(__version__, prog_name="devsynthctl", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, *, socket: str | None, timeout: float | None, no_color: bool) -> None:
    """Talk to devsynthd, the daemon between LM Studio and the programs that use it."""
    app = ctx.ensure_object(App)
    app.address, app.timeout_s = socket, timeout
    app.color = not (no_color or os.environ.get("NO_COLOR"))
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(exits.USAGE)


def run(args: Sequence[str]) -> int:
    """Run the command in *args*, write what it says, and return its exit status."""
    _prepare_output()
    try:
        status = _run(list(args), App())
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return exits.BROKEN_PIPE
    except OSError as exc:  # a full disk
        _forget_output()
        sys.stderr.write(f"devsynthctl: the output could not be written: {exc.strerror}\n")
        return exits.FAILURE
    return status


def _run(args: list[str], app: App) -> int:
    try:
        with cli.make_context("devsynthctl", args, obj=app) as ctx:
            cli.invoke(ctx)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.ClickException as exc:
        # It may have come up before --json was read.
        app.as_json = app.as_json or "--json" in args
        error: DevsynthError = _usage(exc, args)
    except (click.Abort, KeyboardInterrupt):
        return _interrupted(app)
    except DevsynthError as exc:
        error = exc
    else:
        return exits.OK
    app.fail(error)
    return exits.exit_status(error.code)


def _usage(exc: click.ClickException, args: list[str]) -> BadRequest:
    ctx = exc.ctx if isinstance(exc, click.UsageError) else None
    # click does not say of what command an option is that lacks its value.
    named = [each for each in args if each in COMMANDS][:1]
    command = ctx.command_path if ctx else " ".join(["devsynthctl", *named])
    return BadRequest(exc.format_message(), hint=f"{command} --help")


def _interrupted(app: App) -> int:
    if app.as_json:
        app.fail(Cancelled("interrupted"))
    elif app.on_terminal:
        app.end_line()
    return exits.INTERRUPTED


def _prepare_output() -> None:
    """Have pipes get UTF-8 whatever the locale, and a terminal what it can show."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - used to the end
            setattr(sys, name, nowhere)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def _forget_output() -> None:
    """Send what is still buffered nowhere: Python would fail to flush it at exit, and say so."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
