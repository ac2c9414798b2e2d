"""The conversation as it goes: reads what is entered, asks, and writes what comes back."""

import sys
from collections.abc import Mapping
from typing import Any

import click

from devsynthctl.app import App
from devsynthctl.chat.choosing import named, overview
from devsynthctl.chat.conversation import Conversation, Question
from devsynthctl.chat.entries import HELP, Say, read_entry
from devsynthctl.chat.source import Source
from devsynthctl.client import Client
from devsynthctl.render.text import printable
from devsynthd.wire.errors import BadRequest, ContextOverflow, DevsynthError, ModelNotFound
from devsynthd.wire.results import Completion

NONE = "-"
"""Behind a command: take away what it sets."""


class Session:
    """One run of ``chat``.

    A person sees errors, and goes on; without one, the first error ends it.

    Args:
        app: Where output goes.
        client: Who is asked.
        source: What is entered.
        conversation: What has been said already.
        model: Who answers; null: the daemon decides.
        limits: Further fields of each request.
    """

    def __init__(
        self,
        app: App,
        client: Client,
        source: Source,
        conversation: Conversation,
        *,
        model: str | None,
        limits: Mapping[str, Any],
    ) -> None:
        self._app, self._client, self._source = app, client, source
        self._conversation = conversation
        self._model, self._limits = model, limits
        self._answering: str | None = None  # where the daemon decides: who it was last
        self._left = False

    def run(self) -> None:
        """Go on until what is entered ends, or somebody leaves.

        Raises:
            DevsynthError, KeyboardInterrupt: A turn failed or was stopped, and nobody is there.
        """
        stopped = False
        while not self._left:
            try:
                if stopped:
                    self._after_stop()
                    stopped = False
                self._step()
            except DevsynthError as exc:
                if not self._source.is_person:
                    raise
                self._app.fail(exc)
            except KeyboardInterrupt:
                if not self._source.is_person:
                    raise
                stopped = True

    def _after_stop(self) -> None:
        # Ctrl-C may come when a request is sent and nothing holds it yet: hanging up ends it, too.
        # Not while the interrupt is handled: it keeps alive what closing has to wait for.
        self._client.close()
        self._app.end_line()
        self._app.note("stopped")

    def _step(self) -> None:
        entered = self._source.read()
        if entered is None:
            self._left = True
        elif (entry := read_entry(entered)) is None:
            pass
        elif isinstance(entry, Say):
            self._ask(self._conversation.asked(entry.text))
        else:
            self._obey(entry.name, entry.value)

    def _obey(self, name: str, value: str) -> None:
        match name:
            case "/help":
                self._tell(HELP)
            case "/model":
                self._choose(value)
            case "/system":
                self._instruct(value)
            case "/retry":
                self._ask_again()
            case "/clear":
                self._conversation = self._conversation.cleared()
                self._app.note("a new conversation")
            case "/quit":
                self._left = True

    # Commands --------------------------------------------------------------------------------

    def _choose(self, value: str) -> None:
        if not value:
            listing = self._client.list()
            self._tell("\n".join(overview(listing, self._model)))
            self._app.warn(listing.warnings)
        elif value == NONE:
            self._answer_by(None)
        else:
            self._answer_by(self._listed(value))

    def _listed(self, value: str) -> str:
        try:
            return named(value, self._client.list())
        except ModelNotFound:  # it may be new
            return named(value, self._client.list(refresh=True))

    def _answer_by(self, model: str | None) -> None:
        self._model, self._answering = model, None
        who = f"{model} answers" if model else "the daemon decides who answers"
        self._app.note(f"{who} from now on")

    def _instruct(self, value: str) -> None:
        if value:
            system = None if value == NONE else value
            self._conversation = self._conversation.instructed(system)
            self._app.note("the system message is set" if system else "no system message")
        else:
            self._tell(self._conversation.system or "no system message")

    def _ask_again(self) -> None:
        if (question := self._conversation.again()) is None:
            raise BadRequest("there is nothing to ask again", hint="enter a message first")
        self._ask(question)

    # A turn ----------------------------------------------------------------------------------

    def _ask(self, question: Question) -> None:
        """Have *question* answered; whatever comes of it, the conversation knows."""
        came: list[str] = []
        self._conversation = question.otherwise
        try:
            completion = self._stream(question, came)
        except KeyboardInterrupt:
            self._conversation = question.answered("".join(came))
            raise
        except ContextOverflow as exc:
            hint = "/clear starts anew, and /retry sends the message again then"
            exc.hint = f"{exc.hint}; {hint}" if exc.hint else hint
            raise
        self._conversation = question.answered(completion.text)
        self._app.end_line()
        sys.stdout.flush()  # who reads a pipe waits for it
        self._tell_who(completion.model)
        self._app.warn(completion.warnings)
        if not completion.text.strip():
            self._app.note("the answer has no text")

    def _stream(self, question: Question, came: list[str]) -> Completion:
        """Write the answer to *question* as it comes, and add each piece to *came*."""
        with (
            self._app.waiting(self._model) as waiting,
            self._client.stream(
                messages=question.sent(),
                system=question.before.system,
                model=self._model,
                on_progress=waiting.tell if waiting else None,
                **self._limits,
            ) as stream,
        ):
            for chunk in stream:
                came.append(chunk.text)
                if waiting:
                    waiting.pass_on(chunk)
                self._app.print_generated(chunk.text)
        return stream.result

    def _tell_who(self, model: str) -> None:
        if self._model is None and model != self._answering:
            self._answering = model
            self._app.note(f"{model} answers")

    def _tell(self, text: str) -> None:
        click.echo(printable(text), err=True)
