"""``generate``: a prompt in, an answer out as it comes."""

import os
from pathlib import Path
from typing import Any

import click
from msgspec import Raw

from devsynthctl import exits, options
from devsynthctl.app import App
from devsynthctl.call import read_result
from devsynthctl.environment import fields_of_environment
from devsynthctl.generation_request import generate_request
from devsynthctl.images import message_with_images
from devsynthctl.parameters import generate_fields
from devsynthctl.prompt import (
    piped_text,
    raw_prompt,
    read_messages,
    read_schema,
    whole_prompt,
)
from devsynthctl.render.as_json import json_line
from devsynthctl.render.text import printable
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.requests import Generate
from devsynthd.wire.results import Completion

_NOTHING_ASKED = (
    "there is nothing to ask: give a prompt as arguments, on stdin, or messages with -c"
)


@click.command(cls=options.TextCommand)
@click.argument("prompt", nargs=-1, type=options.text)
@options.setting_option("-m", "--model", key="llm_model", metavar="MODEL")
@options.system
@options.context
@click.option(
    "-o",
    "--option",
    "parameters",
    type=options.text,
    multiple=True,
    metavar="KEY=VALUE",
    help="A further parameter: top_p, top_k, min_p, seed, stop, repeat_penalty, presence_penalty, "
    "frequency_penalty, logit_bias, tools, tool_choice, ttl, fallback, or extra.NAME for what only "
    "the server knows. VALUE is JSON, else text. May be repeated.",
)
@options.setting_option("--max-tokens", key="llm_max_tokens", metavar="N")
@options.setting_option("--temperature", key="llm_temperature", metavar="T")
@click.option(
    "--schema",
    metavar="FILE",
    help="A JSON Schema that the answer is to satisfy: a file, or JSON that starts with {. The "
    "answer is written when it is complete and does so.",
)
@click.option(
    "--image",
    "images",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="A PNG, JPEG, WebP or GIF file to ask about. May be repeated.",
)
@click.option("--raw", is_flag=True, help="Go on with the prompt as it is, without chat template.")
@click.option(
    "--suffix",
    type=options.text,
    metavar="TEXT",
    help="Fill the gap between the prompt and TEXT; implies --raw.",
)
@click.option("--no-stream", is_flag=True, help="Write the answer when it is complete.")
@click.option("-n", "--no-stdin", is_flag=True, help="Do not read standard input.")
@click.option(
    "--wait",
    type=options.seconds,
    metavar="S",
    default=0,
    help="Seconds to wait for an upstream that is not there.",
)
@click.option("--background", is_flag=True, help="Give way to everything else that is asked.")
@options.as_json
@click.pass_obj
def generate(
    app: App,
    /,
    *,
    prompt: tuple[str, ...],
    context: Path | None,
    parameters: tuple[str, ...],
    schema: str | None,
    images: tuple[Path, ...],
    no_stream: bool,
    no_stdin: bool,
    **fields: Any,  # noqa: ANN401 - options named like the request's fields
) -> None:
    """Ask a model; PROMPT is what the arguments say, joined by spaces.

    Standard input is read too, to its end, if it is not a terminal: it follows the arguments after
    a blank line. Use -n where it stays open, as in an editor's job. The variables
    DEVSYNTH_LLM_MODEL, DEVSYNTH_LLM_MAX_TOKENS and DEVSYNTH_LLM_TEMPERATURE stand in for options
    that are not given. The calls of tools that a model makes follow its text, each as a line of
    JSON. Ctrl-C cancels.
    """
    fields["raw"] = raw = fields["raw"] or fields["suffix"] is not None
    given = {name: value for name, value in fields.items() if value is not None}
    given |= generate_fields(parameters)
    _check_raw(given, {"-c": context, "--schema": schema, "--image": images or None})
    given |= fields_of_environment(os.environ, given)
    given["messages"] = read_messages(context) if context else []
    if schema is not None:
        given["schema"] = read_schema(schema)
    piped = "" if no_stdin else piped_text("do not read it: --no-stdin", raw=raw)
    text = raw_prompt(prompt, piped) if raw else whole_prompt(prompt, piped)
    if images:
        if text is None:
            raise click.UsageError("--image needs a prompt: what is asked about it")
        given["messages"] += [message_with_images(text, images)]
        text = None
    if text is None and fields["suffix"] is not None:
        text = ""  # the gap is at the start
    if text is None and not given["messages"]:
        raise click.UsageError(_NOTHING_ASKED)
    streams = not (no_stream or app.as_json)
    request = generate_request(text, given, stream=streams)
    if schema is None:
        _show(app, _answer(app, request), whole=not streams)
    else:
        _show(app, _checked_answer(app, request), whole=True)


def _check_raw(given: dict[str, Any], others: dict[str, object]) -> None:
    """Refuse what a prompt without a chat template cannot have.

    *given* are the fields of the request so far, *others* what other options say.
    """
    if not given["raw"]:
        return
    fields = {"-s": "system", "-o tools": "tools", "-o tool_choice": "tool_choice"}
    others = {name: given.get(field) for name, field in fields.items()} | others
    for name, value in others.items():
        if value is not None:
            raw = "--suffix" if "suffix" in given else "--raw"
            raise click.UsageError(f"{raw} sends the prompt as it is: it cannot go with {name}")


def _answer(app: App, request: Generate) -> Raw:
    """Return the result of *request*; what is streamed of it is written as it comes."""
    try:
        return _asked(app, request, held_back=False)
    except DevsynthError as exc:
        if not (request.stream or app.as_json):  # what came of the answer was worked for
            app.print_generated(str(exc.details.get("text") or ""))
        raise


def _checked_answer(app: App, request: Generate) -> Raw:
    """Return the result of *request*, of which nothing is written before it is known to be good."""
    try:
        return _asked(app, request, held_back=True)
    except DevsynthError as exc:
        app.fail(exc)
        came = str(exc.details.get("text") or "")
        if came and not app.as_json:
            app.note("this is what came of the answer:")
            click.echo(printable(came), err=True)
        raise click.exceptions.Exit(exits.exit_status(exc.code)) from exc


def _asked(app: App, request: Generate, *, held_back: bool) -> Raw:
    """Return the result of *request*; what is streamed is written at once, or *held_back*."""
    with app.client() as client, app.waiting(request.model) as waiting:
        on_progress = waiting.tell if waiting else None
        if not request.stream:
            return client.ask(request, on_progress=on_progress)
        with client.open(request, on_progress=on_progress) as stream:
            for chunk in stream:
                if waiting:
                    waiting.pass_on(chunk, held_back=held_back)
                app.print_generated("" if held_back else chunk.text)
        return stream.raw


def _show(app: App, result: Raw, *, whole: bool) -> None:
    """Write what is not written yet of *result*: all of the answer if it was asked for *whole*."""

    def show() -> None:
        completion = read_result(result, Completion)
        if whole:
            app.print_generated(completion.text)
        app.end_line()
        for call in completion.tool_calls:
            function = call.function
            app.print(
                json_line({"id": call.id, "name": function.name, "arguments": function.arguments})
            )
        app.warn(completion.warnings)
        if not (completion.text.strip() or completion.tool_calls):
            reasoned = ", only reasoning: --json shows it" if completion.reasoning else ""
            app.note(f"the answer has no text{reasoned}")

    app.answer(result, show)
