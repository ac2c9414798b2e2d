"""``load``, ``unload`` and ``download``: which models there are, and which are ready."""

import click
from msgspec import Raw

from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.options import as_json, text
from devsynthctl.render.loading import downloaded, loaded, unloaded
from devsynthd.wire.errors import Cancelled
from devsynthd.wire.requests import Download, Load, Unload
from devsynthd.wire.results import DownloadOutcome, LoadOutcome, UnloadOutcome


@click.command()
@click.argument("model", type=text)
@click.option(
    "--context-length",
    type=click.IntRange(min=1),
    metavar="N",
    help="The context, in tokens; else what LM Studio has set for the model.",
)
@as_json
@click.pass_obj
def load(app: App, *, model: str, context_length: int | None) -> None:
    """Have LM Studio load MODEL, unless it is loaded already.

    Ctrl-C ends the wait; LM Studio may go on.
    """
    request = Load(id=UNSENT, model=model, context_length=context_length)
    result = _wait(app, request, "loading", "see what is loaded: devsynthctl models --refresh")
    app.answer(result, lambda: app.print(loaded(read_result(result, LoadOutcome))))


@click.command()
@click.argument("model", type=text)
@as_json
@click.pass_obj
def unload(app: App, *, model: str) -> None:
    """Have LM Studio unload MODEL.

    That is one loaded instance by its id, or all those of a model.
    """
    with app.client() as client:
        result = client.ask(Unload(id=UNSENT, model=model))
    app.answer(result, lambda: app.print(unloaded(read_result(result, UnloadOutcome))))


@click.command()
@click.argument("model", type=text)
@click.option(
    "--quantization",
    type=text,
    metavar="Q",
    help="Which variant, as Q4_K_M; else LM Studio's own.",
)
@as_json
@click.pass_obj
def download(app: App, *, model: str, quantization: str | None) -> None:
    """Have LM Studio download MODEL, and wait for it.

    MODEL is a catalog id or a URL. Ctrl-C ends the wait; LM Studio may go on.
    """
    request = Download(id=UNSENT, model=model, quantization=quantization)
    result = _wait(app, request, "downloading", "its window shows how far it is")
    app.answer(result, lambda: app.print(downloaded(read_result(result, DownloadOutcome))))


def _wait(app: App, request: Load | Download, doing: str, hint: str) -> Raw:
    """Return the result of *request*, with progress meanwhile if somebody looks.

    Raises:
        Cancelled: It was interrupted.
    """
    try:
        title, bar = f"{doing} {request.model}", isinstance(request, Download)
        with app.client() as client, app.progress(title, bar=bar) as show:
            return client.ask(request, on_progress=show)
    except KeyboardInterrupt:
        raise Cancelled(
            f"no longer waiting for {request.model}; LM Studio may go on {doing} it", hint=hint
        ) from None
