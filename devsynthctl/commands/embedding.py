"""``embed``: texts in, their vectors out."""

import click

from devsynthctl import options
from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.prompt import piped_text
from devsynthctl.render.as_json import json_line
from devsynthd.wire.requests import Embed
from devsynthd.wire.results import Embeddings


@click.command(cls=options.TextCommand)
@click.argument("text", nargs=-1, type=options.text)
@click.option(
    "-m",
    "--model",
    type=options.text,
    metavar="MODEL",
    help="The id of an embedding model; else a loaded one, else the first one listed.",
)
@options.as_json
@click.pass_obj
def embed(app: App, *, text: tuple[str, ...], model: str | None) -> None:
    """Turn each TEXT into a vector, written as one JSON array a line.

    Without a TEXT, standard input is one.
    """
    texts = [*text] or [piped_text("give the texts as arguments")]
    if not all(texts):
        raise click.UsageError(
            "there is nothing to embed: give texts as arguments, none of them empty, or one on"
            " stdin"
        )
    with app.client() as client:
        result = client.ask(Embed(id=UNSENT, input=texts, model=model))

    def show() -> None:
        answer = read_result(result, Embeddings)
        for vector in answer.embeddings:
            app.print(json_line(vector))
        app.warn(answer.warnings)

    app.answer(result, show)
