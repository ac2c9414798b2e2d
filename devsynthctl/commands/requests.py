"""``ps`` and ``cancel``: what the daemon works on, and an end to it."""

from collections.abc import Iterable
from typing import Any

import click
from msgspec import Raw, Struct

from devsynthctl import exits
from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.options import as_json
from devsynthctl.render.as_json import json_line
from devsynthctl.render.requests import COLUMNS, GIVES_WAY, NAME_COLUMNS, cancelled, row
from devsynthd.wire.limits import MAX_SAFE_INTEGER
from devsynthd.wire.objects import RequestInfo
from devsynthd.wire.requests import Status

_IDLE = "nothing runs"
_GENERATING = ("generate", "embed")


class _Told(Struct):
    """The requests in a status, as the daemon tells them."""

    requests: tuple[dict[str, Any], ...]


class _Known(Struct):
    """The same, in the form that is known here."""

    requests: tuple[RequestInfo, ...]


@click.command()
@as_json
@click.pass_obj
def ps(app: App) -> None:
    """Show what runs and waits.

    The position is how many requests go before one that is queued; the seconds count from when the
    daemon received it. Piped, the columns are separated by tabs.
    """
    with app.client() as client:
        status = client.ask(Status(id=UNSENT))
    if app.as_json:
        told = read_result(status, _Told).requests
        app.print(json_line({"requests": [each for each in told if each.get("op") != "cancel"]}))
        return
    found = _under_way(status)
    if found or not app.on_terminal:
        app.print_table(COLUMNS, map(row, found), NAME_COLUMNS, gives=GIVES_WAY)
    if not found:
        app.note(_IDLE)


def _number(_ctx: click.Context, _param: click.Parameter, given: str | None) -> int | None:
    if given is None:
        return None
    is_number = given.isascii() and given.isdigit() and len(given) <= len(str(MAX_SAFE_INTEGER))
    if is_number and int(given) <= MAX_SAFE_INTEGER:
        return int(given)
    raise click.UsageError(f"{given} is no number of a request: `devsynthctl ps` shows them")


@click.command()
@click.argument("number", callback=_number, required=False, metavar="[N]")
@click.option("--all", "every", is_flag=True, help="Every generation and embedding, of any client.")
@as_json
@click.pass_context
def cancel(ctx: click.Context, *, number: int | None, every: bool) -> None:
    """Cancel the request with the number N, as `devsynthctl ps` shows it, whoever asked."""
    app: App = ctx.obj
    if (number is None) is not every:
        raise click.UsageError("give either N, a number of `devsynthctl ps`, or --all")
    done = []
    with app.client() as client:
        for info in _meant(_under_way(client.ask(Status(id=UNSENT))), number):
            if client.cancel(request=info.request):
                done.append(info.request)
                if not app.as_json:
                    app.print(cancelled(info))
    if app.as_json:
        app.print(json_line({"cancelled": done if every else bool(done)}))
    elif not done:
        app.note(_IDLE if every else f"there is no request {number}: devsynthctl ps lists them")
    if not (done or every):
        ctx.exit(exits.FAILURE)


def _under_way(status: Raw) -> list[RequestInfo]:
    found = read_result(status, _Known).requests
    return [each for each in found if each.op != "cancel"]


def _meant(found: Iterable[RequestInfo], number: int | None) -> list[RequestInfo]:
    """Return the one with *number*, or without it every generation and embedding."""
    if number is not None:
        return [each for each in found if each.request == number]
    meant = [each for each in found if each.op in _GENERATING]
    # Those that wait come first, or the place of one that ran would be theirs for a moment.
    return sorted(meant, key=lambda each: each.state != "queued")
