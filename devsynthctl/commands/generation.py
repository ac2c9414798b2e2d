"""``generate``: a prompt in, an answer out as it comes."""

import os
from pathlib import Path
from typing import Any

import click

from devsynthctl.app import App
from devsynthctl.call import read_result
from devsynthctl.client import generate_request
from devsynthctl.options import TextCommand, as_json, seconds, setting_option
from devsynthctl.prompt import fields_of_environment, piped_text, read_messages, whole_prompt
from devsynthd.wire.results import Completion


@click.command(cls=TextCommand)
@click.argument("prompt", nargs=-1)
@setting_option("-m", "--model", key="llm_model", metavar="MODEL")
@click.option("-s", "--system", metavar="SYSTEM", help="The system message, put first.")
@click.option(
    "-c",
    "--context",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A JSON file with a list of messages, put before the prompt.",
)
@setting_option("--max-tokens", key="llm_max_tokens", metavar="N")
@setting_option("--temperature", key="llm_temperature", metavar="T")
@click.option("--no-stream", is_flag=True, help="Write the answer when it is complete.")
@click.option("-n", "--no-stdin", is_flag=True, help="Do not read standard input.")
@click.option(
    "--wait",
    type=seconds,
    metavar="S",
    default=0,
    help="Seconds to wait for an upstream that is not there.",
)
@as_json
@click.pass_obj
def generate(
    app: App,
    /,
    *,
    prompt: tuple[str, ...],
    context: Path | None,
    no_stream: bool,
    no_stdin: bool,
    **fields: Any,  # noqa: ANN401 - options named like the request's fields
) -> None:
    """Ask a model; PROMPT is what the arguments say, joined by spaces.

    Standard input is read too, to its end, if it is not a terminal: it follows the arguments after
    a blank line. Use -n where it stays open, as in an editor's job. The variables
    DEVSYNTH_LLM_MODEL, DEVSYNTH_LLM_MAX_TOKENS and DEVSYNTH_LLM_TEMPERATURE stand in for options
    that are not given. Ctrl-C cancels.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    given |= fields_of_environment(os.environ, given)
    given["messages"] = read_messages(context) if context else []
    text = whole_prompt(prompt, "" if no_stdin else piped_text())
    if text is None and not given["messages"]:
        raise click.UsageError(
            "there is nothing to ask: give a prompt as arguments, on stdin, or messages with -c"
        )
    whole = no_stream or app.as_json
    request = generate_request(text, stream=not whole, **given)
    with app.client() as client:
        if whole:
            result = client.ask(request)
        else:
            with client.open(request) as stream:
                for chunk in stream:
                    app.print_generated(chunk.text)
            result = stream.raw

    def show() -> None:
        completion = read_result(result, Completion)
        if whole:
            app.print_generated(completion.text)
        app.end_line()
        app.warn(completion.warnings)

    app.answer(result, show)
