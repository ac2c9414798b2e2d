"""``models`` and ``select``: what there is, and what answers."""

from typing import Literal

import click
from msgspec import Raw

from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.client import Client
from devsynthctl.errors import error_from
from devsynthctl.options import as_json, ends_after, text
from devsynthctl.render.models import (
    COLUMNS,
    NAME_COLUMNS,
    chat_models,
    choice,
    gives_way,
    how_to_get_one,
    menu,
    nothing_listed,
    row,
    stand_in,
)
from devsynthctl.render.text import cell, printable
from devsynthd.wire.errors import DevsynthError, NoModel
from devsynthd.wire.objects import ErrorInfo, Source
from devsynthd.wire.requests import List, Select
from devsynthd.wire.results import Models, Selected


@click.command()
@click.option("--refresh", is_flag=True, help="Ask the upstream first.")
@click.option("--loaded", is_flag=True, help="Only models that are known to be loaded.")
@click.option("--kind", type=click.Choice(["llm", "embedding"]), help="Only models of this kind.")
@click.option("--watch", is_flag=True, help="Show them until q or Ctrl-C, as they change.")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids, one a line.")
@ends_after
@as_json
@click.pass_obj
def models(
    app: App,
    *,
    refresh: bool,
    loaded: bool,
    kind: Literal["llm", "embedding"] | None,
    watch: bool,
    quiet: bool,
) -> None:
    """List the models.

    The context is in tokens: that of the loaded model, else the longest possible one. On a
    terminal the selected model is marked with a *, and what has no room is left out.

    Piped, there is a header, and then a line a model, with a tab between two columns: id, name,
    owner, kind (llm, embedding, unknown), state (loaded, not loaded, unknown), context,
    quantization, selected (* or empty). What is not known is empty. No cell has a tab, a line
    break or another control character in it, and none of these columns will go or change places:
    `cut -f1` and `fzf --header-lines=1` can rely on that.

    With --watch, piped, the models come once, and after that those that have changed; one that is
    gone has the state gone. With --json, each line is a whole list. If the daemon goes away, it
    goes on when it is back; with --timeout S, it ends after S seconds, which is no error.
    """
    request = List(id=UNSENT, refresh=refresh, loaded=loaded, kind=kind)
    if watch:
        if quiet:
            raise click.UsageError("--watch shows what changes of the models, --quiet only ids")
        # Not needed to list them once.
        from devsynthctl.watching.models import watch_models  # noqa: PLC0415

        watch_models(app, request)
        return
    with app.client() as client:
        result = client.ask(request)
    app.answer(result, lambda: _show(app, result, request, quiet=quiet))


def _show(app: App, result: Raw, request: List, *, quiet: bool) -> None:
    listing = read_result(result, Models)
    if quiet:
        app.print("".join(f"{cell(model.id)}\n" for model in listing.models))
    else:
        app.print_table(
            COLUMNS,
            map(row, listing.models),
            NAME_COLUMNS,
            gives=gives_way(listing.models),
            marked=True,
        )
    app.warn(listing.warnings)
    if not (listing.models or request.loaded or request.kind):
        app.note(nothing_listed(listing.source))
    if who := stand_in(listing.models, listing.selection):
        app.note(who)


@click.command()
@click.argument("model", type=text, required=False)
@click.option("--auto", is_flag=True, help="Let the daemon choose, a loaded model first.")
@click.option("--force", is_flag=True, help="Take MODEL even if the upstream does not list it.")
@click.option("--no-persist", is_flag=True, help="Only until the daemon ends; do not write it.")
@as_json
@click.pass_obj
def select(app: App, *, model: str | None, auto: bool, force: bool, no_persist: bool) -> None:
    """Choose the MODEL that answers when a request names none.

    Without MODEL, on a terminal, the models are numbered and you are asked.
    """
    if auto and model is not None:
        raise click.UsageError("give MODEL or --auto, not both")
    asks = model is None and not auto
    if asks and not app.can_ask:
        raise click.UsageError(
            "which model? Give its id (`devsynthctl models -q` lists them) or --auto"
        )
    with app.client() as client:
        if asks:
            model = ask_for_model(app, client)
            if model is None:
                return
        request = Select(id=UNSENT, model=model, persist=not no_persist, force=force)
        result = client.ask(request)

    def show() -> None:
        outcome = read_result(result, Selected)
        chosen = outcome.selection
        app.print(printable(f"{chosen.model or 'no model'} ({chosen.how}: {chosen.reason})\n"))
        if outcome.persisted:
            app.note("it holds after a restart too")
        elif no_persist:
            app.note("it holds until the daemon ends")
        app.warn(outcome.warnings)

    app.answer(result, show)


def _nothing_to_choose(source: Source) -> DevsynthError:
    """Return why there is no model to choose: what the upstream failed with, if it did."""
    if source.error is None:
        return NoModel(
            f"there is no model to choose: {source.api_base} lists none",
            hint=f"{how_to_get_one(source)}; `devsynthctl models` lists it then",
        )
    hint = "see whether the upstream runs: devsynthctl status"
    return error_from(ErrorInfo(code=source.error.code, message=source.error.message, hint=hint))


def ask_for_model(app: App, client: Client) -> str | None:
    """Return the model that a person chooses from the list, null to leave it as it is."""
    listing = client.list()
    is_real = all(warning.code != "fallback" for warning in listing.warnings)
    candidates = chat_models(listing.models) if is_real else []
    if not candidates:
        raise _nothing_to_choose(listing.source)
    app.warn(listing.warnings)
    for line in menu(candidates):
        click.echo(printable(line), err=True)
    ids = [model.id for model in candidates]
    while True:
        answer = click.prompt(
            "Number or id (empty: leave it as it is)", default="", show_default=False, err=True
        ).strip()
        if not answer:
            return None
        if chosen := choice(answer, ids):
            return chosen
        click.echo(f"There is no {printable(answer)} in the list.", err=True)
