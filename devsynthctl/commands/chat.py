"""``chat``: a conversation with a model."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from devsynthctl import options
from devsynthctl.app import App
from devsynthctl.chat.choosing import names
from devsynthctl.chat.conversation import Conversation
from devsynthctl.chat.session import Session
from devsynthctl.chat.source import Source, piped_lines
from devsynthctl.client import Client
from devsynthctl.environment import fields_of_environment
from devsynthctl.prompt import read_messages
from devsynthd.wire.errors import DevsynthError

_NO_JSON = "chat has no --json: a program asks with `generate --json`"
_WELCOME = "Enter sends, Alt-Enter starts a new line, Ctrl-D leaves; /help shows more"
_LIST_TIMEOUT_S = 1.0  # somebody waits for a completion


def _refuse_json(_ctx: click.Context, _param: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click passes it so
    if given:
        raise click.UsageError(_NO_JSON)


@click.command()
@options.setting_option("-m", "--model", key="llm_model", metavar="MODEL")
@options.system
@options.context
@click.option("--json", is_flag=True, hidden=True, expose_value=False, callback=_refuse_json)
@click.pass_obj
def chat(app: App, *, model: str | None, system: str | None, context: Path | None) -> None:
    """Talk with a model; each message is sent with all that was said before.

    On a terminal: Enter sends, Alt-Enter or Ctrl-J starts a new line, the arrows recall what was
    entered, also in earlier chats, Tab completes. Ctrl-C stops an answer, Ctrl-D leaves, /help
    lists the commands. Otherwise each line of standard input is a message, and the first error
    ends the chat. The variables DEVSYNTH_LLM_MODEL, DEVSYNTH_LLM_MAX_TOKENS and
    DEVSYNTH_LLM_TEMPERATURE are heeded as by `generate`.
    """
    if app.as_json:
        raise click.UsageError(_NO_JSON)
    limits = fields_of_environment(os.environ, [] if model is None else ["model"])
    model = limits.pop("model", model) or None  # an empty one: the daemon decides
    said = Conversation(
        system=system or None, context=tuple(read_messages(context)) if context else ()
    )
    with app.client() as client:
        client.connect()  # who has to start the daemon should know before they type
        source = _prompt(app, client) if app.can_ask else piped_lines()
        Session(app, client, source, said, model=model, limits=limits).run()


def _prompt(app: App, client: Client) -> Source:
    # Slow to import, so only for a person.
    from devsynthctl.chat.history import History, history_path  # noqa: PLC0415 - see above
    from devsynthctl.chat.terminal import Prompt  # noqa: PLC0415 - see above

    def model_ids() -> Iterable[str]:
        try:
            return names(client.list(timeout=_LIST_TIMEOUT_S))
        except DevsynthError:
            return ()

    click.echo(_WELCOME, err=True)
    return Prompt(History(history_path()), model_ids, app.note, color=app.color)
