"""``service``: the daemon under systemd or launchd."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Raw, structs

from devsynthctl import exits
from devsynthctl.app import App
from devsynthctl.options import as_json
from devsynthctl.render.service import (
    installed_notes,
    installed_text,
    service_text,
    uninstalled_notes,
    uninstalled_text,
    unseen_variables,
)
from devsynthctl.render.status import flat
from devsynthctl.render.text import printable, tab_separated
from devsynthctl.service.errors import ServiceError
from devsynthctl.service.knocking import other_daemon
from devsynthctl.service.managers import Manager, manager_of
from devsynthctl.service.programs import Programs
from devsynthctl.service.reports import ServiceStatus
from devsynthctl.service.runner import Runner
from devsynthctl.service.wish import Told, Wish
from devsynthd.host.address import socket_address
from devsynthd.host.paths import cache_dir, config_path
from devsynthd.wire.errors import DevsynthError

if TYPE_CHECKING:
    from devsynthctl.client import Client

START_LIMIT_S = 15.0
"""How long the daemon may take to answer once its manager has started it."""

_force = click.option(
    "--force", is_flag=True, help="Also units that were edited; they are kept as ....orig."
)


@click.group()
def service() -> None:
    """Run the daemon as a service: a systemd user service, or a launchd agent.

    It starts when you log in, under systemd also with the first request, and is restarted if it
    fails. Changes of your own to the unit go into a drop-in: systemctl --user edit
    devsynthd.service. Variables of a shell do not reach a service: settings belong into the file,
    see devsynthctl config.
    """


@service.command()
@click.option("--config", metavar="PATH", help="The configuration file that the daemon has.")
@click.option("--linger", is_flag=True, help="Have it go on after logging out (systemd).")
@_force
@as_json
@click.pass_obj
def install(app: App, *, config: str | None, linger: bool, force: bool) -> None:
    """Install the service, start it, and wait until it answers.

    It gets the socket and the configuration file that this shell names, else keeps those that it
    was installed with. Units that you have edited are not overwritten, and doing it again changes
    nothing, unless the package or the shell has.
    """
    manager = _manager(app)
    seen = manager.environ()  # first: without a manager nothing else matters
    config = config if config is not None else os.environ.get("DEVSYNTH_CONFIG") or None
    address = app.address if app.address is not None else os.environ.get("DEVSYNTH_SOCKET") or None
    told = manager.told()
    kept = Told(
        socket=told.socket if address is None else None,
        config=told.config if config is None else None,
    )
    report = manager.install(_wish(address, config, kept), force=force, linger=linger)
    unseen = unseen_variables(os.environ, seen)
    report = structs.replace(report, kept=_options(kept), warnings=[*report.warnings, *unseen])
    if report.changed:
        _wait_for_answer(app, manager, report.socket)

    def show() -> None:
        app.print(printable(installed_text(report)))
        for note in installed_notes(report):
            app.note(note)

    app.answer(_raw(report), show)


@service.command()
@_force
@as_json
@click.pass_obj
def uninstall(app: App, *, force: bool) -> None:
    """Stop the daemon, and remove what `service install` wrote.

    Settings and cache stay. If you have edited a unit, nothing is done without --force.
    """
    report = _manager(app).uninstall(force=force)

    def show() -> None:
        app.print(printable(uninstalled_text(report)))
        kept = [str(config_path(None, os.environ).parent), str(cache_dir())]
        if report.changed or report.files:
            for note in uninstalled_notes(report, kept):
                app.note(note)

    app.answer(_raw(report), show)


@service.command()
@as_json
@click.pass_obj
def start(app: App) -> None:
    """Start the service, and wait until it answers."""
    manager = _manager(app)
    manager.start()
    _wait_for_answer(app, manager, manager.status().socket)
    _tell(app, manager, "devsynthd runs")


@service.command()
@as_json
@click.pass_obj
def stop(app: App) -> None:
    """Stop the service until it is started, or until the next login.

    Requests do not start it again.
    """
    manager = _manager(app)
    manager.stop()
    found = _with_other(manager.status())

    def show() -> None:
        app.print("devsynthd is stopped\n" if found.error is None else "the service is stopped\n")
        if found.error is not None:
            app.note(found.error)

    app.answer(_raw(found), show)


@service.command()
@as_json
@click.pass_obj
def restart(app: App) -> None:
    """Restart the daemon, for instance after an upgrade.

    Running requests may finish first. Under systemd, those that come meanwhile wait.
    """
    manager = _manager(app)
    manager.restart()
    _wait_for_answer(app, manager, manager.status().socket)
    _tell(app, manager, "devsynthd runs again")


@service.command()
@as_json
@click.pass_context
def status(ctx: click.Context) -> None:
    """Show how the service is; exit with 3 unless it runs and answers.

    A daemon that waits for its first request is not woken.
    """
    app = ctx.ensure_object(App)
    found = _manager(app).status()
    if found.running or not found.listening:
        found = _asked(app, found)
    if not found.answers:
        found = _with_other(found)

    def show() -> None:
        if app.on_terminal:
            app.print(printable(service_text(found)))
        else:
            app.print(tab_separated(flat(msgspec.to_builtins(found))))

    app.answer(_raw(found), show)
    if not (found.running and found.answers):
        ctx.exit(exits.EXIT_STATUS["daemon_unreachable"])


@service.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=50, metavar="N", help="How many lines."
)
@as_json
@click.pass_obj
def logs(app: App, *, follow: bool, lines: int) -> None:
    """Show the last lines of the daemon's log: of the journal, or of its file under launchd."""
    _manager(app).show_logs(lines=lines, follow=follow, as_json=app.as_json)


def _manager(app: App) -> Manager:
    def write(line: str) -> None:
        app.print_now(printable(line) if app.on_terminal else line)

    return manager_of(sys.platform, os.environ, write)


def _wish(address: str | None, config: str | None, kept: Told) -> Wish:
    """Return what to install: *kept*, and for the rest what this shell gives."""
    path = kept.config or config_path(config, os.environ)
    socket = kept.socket or socket_address(address, os.environ).path
    # A service has none of the variables that tell Python where else to look.
    plain = {name: each for name, each in os.environ.items() if not name.startswith("PYTHON")}
    programs = Programs(Runner(plain), os.environ)
    return Wish(
        daemon=programs.command("devsynthd"),
        ctl=programs.command("devsynthctl"),
        socket=socket,
        config=path,
        config_target=path.resolve(),
    )


def _options(told: Told) -> list[str]:
    """Return the options that give what the service was *told*."""
    options = {"--socket": told.socket, "--config": told.config}
    return [f"{name} {shlex.quote(str(path))}" for name, path in options.items() if path]


def _client(app: App, socket: str | None) -> "Client":
    """Return a client for the service at *socket*; null: where this shell finds a daemon."""
    if socket is None:
        return app.client()
    from devsynthctl.client import Client  # noqa: PLC0415 - not to complete a word, or for help

    return Client(socket, timeout=app.timeout_s, on_idle=app.check_reader)


def _with_other(found: ServiceStatus) -> ServiceStatus:
    """Return *found*, told of a daemon at the socket that was started by hand."""
    if found.socket is None:
        return found
    is_up = found.running or found.listening
    other = other_daemon(Path(found.socket), found.pid, is_up=is_up)
    if other is None:
        return found
    end = "devsynthctl shutdown" if other.is_heard else f"kill {other.pid or 'PID'}"
    pid = other.pid or "unknown"
    error = f"a daemon that was started by hand still runs (pid {pid}); to end it: {end}"
    return structs.replace(found, error=error)


def _wait_for_answer(app: App, manager: Manager, socket: str | None) -> None:
    """Return when the daemon answers at *socket*.

    Raises:
        ServiceError: It does not.
    """
    try:
        with _client(app, socket) as client:
            client.connect(START_LIMIT_S)
            client.ping(timeout=START_LIMIT_S)
    except DevsynthError as exc:
        found = manager.status()
        said = f"; the daemon said: {found.status}" if found.result and found.status else ""
        raise ServiceError(
            f"the service is started, but does not answer: {exc}{said}",
            hint="its log tells why: devsynthctl service logs",
        ) from exc


def _asked(app: App, found: ServiceStatus) -> ServiceStatus:
    """Return *found* with whether the daemon answers, and who it is that does if no service."""
    try:
        with _client(app, found.socket) as client:
            pong = client.ping(timeout=START_LIMIT_S)
    except DevsynthError as exc:
        return structs.replace(found, answers=False, error=str(exc) if found.running else None)
    if found.running:
        return structs.replace(found, answers=True)
    by_hand = f"a daemon that was started by hand answers (pid {pong.pid})"
    return structs.replace(found, answers=True, error=by_hand)


def _tell(app: App, manager: Manager, text: str) -> None:
    app.answer(_raw(manager.status()), lambda: app.print(f"{text}\n"))


def _raw(report: msgspec.Struct) -> Raw:
    return Raw(msgspec.msgpack.encode(report))
