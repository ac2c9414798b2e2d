"""Does the checks one after the other, and tells what came of each as soon as it is done."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from devsynthctl.call import OnProgress
from devsynthctl.doctor.answer_links import (
    judge_answer,
    judge_answer_in_context,
    judge_no_answer,
)
from devsynthctl.doctor.checks import CHECKS, Check
from devsynthctl.doctor.daemon_side import DaemonSide
from devsynthctl.doctor.facts import Facts
from devsynthctl.doctor.server_side import ServerSide
from devsynthctl.doctor.trouble import Finding, Look, State, Verdict, skipped
from devsynthctl.errors import NoAnswer
from devsynthd.wire.errors import DevsynthError, ShuttingDown

GENERATION_S = 120.0
"""How long an answer may take; a model may have to be loaded first."""

MAX_TOKENS = 64
WORD = "heron"
PROMPT = "Reply with one short sentence: are you there?"
CONTEXT = (
    {"role": "user", "content": f"Remember this word, I shall ask for it: {WORD}."},
    {"role": "assistant", "content": f"I shall remember the word {WORD}."},
)
QUESTION = "Which word did I ask you to remember? Reply with that word only."

GENERATIONS = ("generation", "context")
SERVER_CHECKS = ("dns", "tcp", "http", "api", "auth", "engine", "models")
"""Those for which the settings have to be known."""

_WHY_NOT = {
    "socket": "no daemon",
    "daemon": "no daemon",
    "dns": "the host is not known",
    "tcp": "no connection",
    "http": "no HTTP",
    "api": "it does not speak the API",
    "auth": "the API key is not accepted",
    "engine": "no engine",
    "models": "no model",
    "generation": "no answer",
}

Watch = Callable[[], AbstractContextManager[OnProgress | None]]
"""Draws, while a check lasts, what it waits for."""


class Examination:
    """One run of all checks.

    Args:
        daemon: Looks at the daemon.
        facts: What it finds goes there, and is read from there.
        timeout_s: How long an answer may take.
        generates: Whether a model is asked at all.
        home: The user's home directory, if there is one.
        watch: Entered for each check.
    """

    def __init__(
        self,
        daemon: DaemonSide,
        facts: Facts,
        *,
        timeout_s: float,
        generates: bool,
        home: Path | None,
        watch: Watch,
    ) -> None:
        self._daemon, self._facts, self._home = daemon, facts, home
        self._timeout_s, self._generates, self._watch = timeout_s, generates, watch
        self._server: ServerSide | None = None
        self._looks: dict[str, Look] = daemon.looks()
        self._states: dict[str, State] = {}
        self._reasons: dict[str, str] = {}

    def findings(self) -> Generator[Finding]:
        """Yield what came of each check that applies, in their order."""
        try:
            for check in self._in_order():
                started = time.perf_counter()
                with self._watch() as tell:
                    verdict = self._verdict(check, tell)
                if verdict is None:
                    continue
                self._states[check.name] = verdict.state
                if check.name == "config":
                    self._take_up_settings()
                yield Finding(
                    name=check.name,
                    state=verdict.state,
                    message=verdict.message,
                    remedy=verdict.remedy,
                    duration_s=time.perf_counter() - started,
                )
        finally:
            self._daemon.close()
            if self._server:
                self._server.close()

    def _in_order(self) -> Sequence[Check]:
        """Return the checks; the config file's stands first where it keeps the daemon down."""
        if not self._daemon.is_kept_down():
            return CHECKS
        return sorted(CHECKS, key=lambda check: check.name != "config")

    def _take_up_settings(self) -> None:
        """Know from now on which server is looked at."""
        settings = self._daemon.server_settings()
        if settings is None:
            return
        restart = self._daemon.commands().restart
        self._server = ServerSide(
            settings, self._daemon.client, self._facts, restart=restart, home=self._home
        )
        self._looks |= self._server.looks()

    def _verdict(self, check: Check, tell: OnProgress | None) -> Verdict | None:
        """Do *check*; null: it does not apply here."""
        if why := self._why_not(check):
            self._reasons[check.name] = why
            return skipped(why)
        if check.name in GENERATIONS:
            return self._answer(tell, in_context=check.name == "context")
        if check.name == "environment":
            return self._daemon.environment(self._server.proxied if self._server else None)
        look = self._looks.get(check.name)
        return look() if look else None

    def _why_not(self, check: Check) -> str | None:
        """Return why there is no point in *check*; null: there is."""
        if check.name in GENERATIONS and not self._generates:
            return "--no-generate"
        if check.name == "daemon" and self._states.get("config") == "failed":
            return "the config file has to be mended first"  # to ask would only have it fail again
        for name in self._needs(check):
            if self._states.get(name) in ("failed", "skipped"):
                return self._reasons.get(name) or _WHY_NOT[name]
        if self._server is None and check.name in SERVER_CHECKS:
            return "the settings are not valid"
        return None

    def _needs(self, check: Check) -> tuple[str, ...]:
        if check.name == "models" and self._server:
            return ("engine",) if self._server.is_embedded else ("auth",)
        if check.name == "generation" and self._states.get("engine") == "ok":
            return ("daemon",)  # the engine stands in where the server is not there
        return check.needs

    def _answer(self, tell: OnProgress | None, *, in_context: bool) -> Verdict:
        client = self._daemon.client
        if client is None:
            return skipped("no daemon")
        try:
            completion = client.generate(
                QUESTION if in_context else PROMPT,
                messages=list(CONTEXT) if in_context else [],
                max_tokens=MAX_TOKENS,
                temperature=0.0,
                timeout=self._timeout_s,
                on_progress=tell,
            )
        except (NoAnswer, ShuttingDown) as exc:
            return self._daemon.silence(exc)
        except DevsynthError as exc:
            return judge_no_answer(exc, self._timeout_s)
        if in_context:
            return judge_answer_in_context(completion, WORD)
        return judge_answer(completion)
