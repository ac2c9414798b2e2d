"""``status``, ``ping``, ``reload`` and ``shutdown``: the daemon itself."""

import time

import click
import msgspec

from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.options import as_json, seconds
from devsynthctl.render.status import flat, status_text
from devsynthctl.render.text import cell, printable, tab_separated
from devsynthd.wire.requests import Ping, Reload, Shutdown, Status
from devsynthd.wire.results import Pong, ReloadOutcome, StatusReport


@click.command()
@as_json
@click.pass_obj
def status(app: App) -> None:
    """Show how the daemon is: upstream, model, queue, totals."""
    with app.client() as client:
        result = client.ask(Status(id=UNSENT))

    def show() -> None:
        if app.on_terminal:
            app.print(printable(status_text(read_result(result, StatusReport))))
        else:
            app.print(tab_separated(flat(msgspec.msgpack.decode(result))))

    app.answer(result, show)


@click.command()
@click.option("--wait", type=seconds, metavar="S", default=0, help="Seconds it may take to appear.")
@as_json
@click.pass_obj
def ping(app: App, *, wait: float) -> None:
    """Show whether the daemon answers."""
    with app.client() as client:
        client.connect(wait)
        started = time.perf_counter()
        result = client.ask(Ping(id=UNSENT))
        took_ms = (time.perf_counter() - started) * 1000

    def show() -> None:
        pong = read_result(result, Pong)
        app.print(
            printable(f"pong from devsynthd {pong.version} (pid {pong.pid}) in {took_ms:.1f} ms\n")
        )

    app.answer(result, show)


@click.command()
@as_json
@click.pass_obj
def reload(app: App) -> None:
    """Have the daemon read its config file now.

    It does so by itself whenever the file changes; this tells at once whether the file is valid,
    and lists the settings that have changed.
    """
    with app.client() as client:
        result = client.ask(Reload(id=UNSENT))

    def show() -> None:
        changed = read_result(result, ReloadOutcome).changed
        app.print("".join(f"{cell(key)}\n" for key in changed))
        if not changed:
            app.note("what the file says is in force already")

    app.answer(result, show)


@click.command()
@click.option("--grace", type=seconds, metavar="S", help="Seconds that running requests may go on.")
@as_json
@click.pass_obj
def shutdown(app: App, *, grace: float | None) -> None:
    """Have the daemon finish what runs, and exit."""
    with app.client() as client:
        result = client.ask(Shutdown(id=UNSENT, grace=grace))
    app.answer(result, lambda: app.print("devsynthd is shutting down\n"))
