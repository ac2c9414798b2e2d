"""The whole of it: the real commands, and a real language model that answers."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, cast

import pytest

from devsynthctl import Client
from tests.engine.processes import child_of, needs_pidfd, resident_bytes, watched
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.upstream_server import free_port

pytestmark = [pytest.mark.timeout(60), needs_pidfd]

EMBEDDED = {
    "DEVSYNTH_LLM_PROVIDER": "embedded",
    "DEVSYNTH_EMBEDDED_CONTEXT_LENGTH": "1024",
    "DEVSYNTH_LLM_TEMPERATURE": "0",  # every answer the same
    "DEVSYNTH_EMBEDDED_THREADS": "1",  # two threads wait for each other on a busy machine
    "DEVSYNTH_DAEMON_SHUTDOWN_GRACE": "40",  # a busy machine is no reason to fail
}

# At a temperature of 0 an answer is always the same: this one has an end, ...
SHORT_OPTIONS = ("generate", "--max-tokens", "60", "--temperature", "0", "Say hello.")
# ... and this one is longer than any of these tests waits.
LONG = "Write a long story about a dragon and a knight."
LONG_OPTIONS = ("generate", "--max-tokens", "800", "--temperature", "0", LONG)

MB = 2**20


@pytest.fixture(scope="module")
def shared(weights: Path) -> Iterator[DaemonProcess]:
    """Return a daemon for all tests that leave it as it is: its engine starts only once."""
    environ = {**EMBEDDED, "DEVSYNTH_EMBEDDED_MODEL_PATH": str(weights)}
    with (
        tempfile.TemporaryDirectory(prefix="ds-") as folder,
        daemon_process(Path(folder), environ=environ) as daemon,
    ):
        yield daemon


@pytest.fixture
def daemon(short_dir: Path, weights: Path) -> Iterator[DaemonProcess]:
    """Return a daemon for one test, with the demo model for want of another."""
    del weights  # it only has to be there
    with daemon_process(short_dir, environ=EMBEDDED) as running:
        yield running


def first_words(stream: IO[str] | None) -> str:
    """Return the start of an answer once it is there."""
    return cast("IO[str]", stream).read(1)


# The embedded engine as the provider -----------------------------------------------------------


def test_the_engine_is_listed_and_starts_when_it_is_needed(daemon: DaemonProcess) -> None:
    with Client(daemon.endpoint) as client:
        before = client.list()
        answer = client.generate("Say hello.", max_tokens=8)
        after = client.list(since=before.generation, timeout=10)

    assert [(model.id, model.loaded) for model in before.models] == [("local_model", False)]
    assert before.selection.model == "local_model"
    assert (answer.model, answer.fallback) == ("local_model", False)
    assert [(model.id, model.loaded) for model in after.models] == [("local_model", True)]
    assert after.models[0].context_length == 1024


def test_an_answer_is_streamed(shared: DaemonProcess) -> None:
    outcome = shared.ctl(*SHORT_OPTIONS)

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "hello" in outcome.stdout.lower()


def test_an_answer_as_json_is_whole(shared: DaemonProcess) -> None:
    outcome = shared.ctl("--json", *SHORT_OPTIONS)

    answer = json.loads(outcome.stdout)
    timing, usage = answer["timing"], answer["usage"]
    assert answer["finish_reason"] == "stop"
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    parts = timing["queued_s"] + timing["waiting_s"] + timing["streaming_s"]
    assert parts == pytest.approx(timing["total_s"], abs=0.001)
    assert timing["tokens_per_s"] > 1


def test_the_chunks_are_the_answer(shared: DaemonProcess) -> None:
    with Client(shared.endpoint) as client:
        stream = client.stream("Count from one to ten.", max_tokens=40)
        chunks = [chunk.text for chunk in stream]

    assert len(chunks) > 5
    assert "".join(chunks) == stream.result.text


def test_two_at_once_are_both_answered(shared: DaemonProcess) -> None:
    with closing(Dealer(shared.endpoint)) as dealer:
        for number in (1, 2):
            dealer.send(op="generate", id=number, prompt=f"Say {number}.", max_tokens=20)
        replies = [dealer.receive() for _ in range(2)]

    assert {reply["id"]: reply["type"] for reply in replies} == {1: "result", 2: "result"}
    assert all(reply["result"]["text"] for reply in replies)


def test_a_limit_of_tokens_is_kept_and_told(shared: DaemonProcess) -> None:
    told = shared.ctl("generate", "--max-tokens", "3", LONG)
    as_json = json.loads(shared.ctl("generate", "--json", "--max-tokens", "3", LONG).stdout)

    assert told.returncode == 0
    assert "cut off after 3 tokens" in told.stderr
    assert as_json["finish_reason"] == "length"
    assert as_json["usage"]["completion_tokens"] == 3
    assert [warning["code"] for warning in as_json["warnings"]] == ["truncated"]


def test_a_prompt_that_is_too_long_is_told_with_the_engines_own_setting(
    shared: DaemonProcess,
) -> None:
    outcome = shared.ctl("generate", "word " * 3000)

    assert outcome.returncode == 1
    assert "the embedded engine: the prompt does not fit the model's context" in outcome.stderr
    assert "raise embedded_context_length" in outcome.stderr


@pytest.mark.parametrize("command", ["load", "unload", "download"])
def test_models_are_not_managed_and_nobody_is_sent_to_lm_studio(
    shared: DaemonProcess, command: str
) -> None:
    outcome = shared.ctl(command, "local_model")

    assert "the embedded engine has no way to load" in outcome.stderr
    assert "embedded_model_path" in outcome.stderr
    assert "LM Studio" not in outcome.stderr


def test_a_file_that_is_no_model_is_not_set(daemon: DaemonProcess) -> None:
    outcome = daemon.ctl("config", "set", "embedded_model_path", "/etc/passwd")

    assert outcome.returncode == 78
    assert "embedded_model_path: /etc/passwd is not a GGUF file" in outcome.stderr


def test_cancelled_answers_do_not_keep_the_engine_busy(shared: DaemonProcess) -> None:
    """More are cancelled than the engine has slots: the next one would wait for seconds."""
    with Client(shared.endpoint) as client:
        for _ in range(6):
            with client.stream(LONG, max_tokens=800, temperature=0) as stream:
                next(stream)
        cancelled_at = time.monotonic()
        client.generate("Say hello.", max_tokens=2)

    assert time.monotonic() - cancelled_at < 5


def test_the_engines_memory_is_not_the_daemons(shared: DaemonProcess) -> None:
    with Client(shared.endpoint) as client:
        client.generate("Say hello.", max_tokens=2)
        memory = client.status().memory_bytes
        engine = resident_bytes(child_of(shared.process.pid))

    assert memory is not None
    assert memory < 80 * MB < engine


# The engine's process --------------------------------------------------------------------------


def test_a_killed_engine_ends_the_answer_and_is_started_again(daemon: DaemonProcess) -> None:
    with daemon.start_ctl(*LONG_OPTIONS) as process:
        first_words(process.stdout)
        os.kill(child_of(daemon.process.pid), signal.SIGKILL)
        _, told = process.communicate(timeout=10)

    assert process.returncode == 1
    assert "devsynthctl: " in told
    assert "Traceback" not in told
    again = daemon.ctl("--json", "generate", "Say hello.", "--max-tokens", "8")
    assert json.loads(again.stdout)["usage"]["completion_tokens"] > 0


def test_what_a_killed_engine_said_is_incomplete(daemon: DaemonProcess) -> None:
    with closing(Dealer(daemon.endpoint)) as dealer:
        dealer.send(op="generate", id=1, prompt=LONG, stream=True, max_tokens=800, temperature=0)
        said = dealer.receive()["text"]
        os.kill(child_of(daemon.process.pid), signal.SIGKILL)
        while (reply := dealer.receive())["type"] == "chunk":
            said += reply.get("text", "")

    assert reply["error"]["code"] == "incomplete"
    assert "daemon's log" in reply["error"]["hint"]
    assert "server" not in reply["error"]["hint"]
    assert reply["error"]["retryable"] is True
    assert reply["error"]["details"]["text"] == said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_engine_ends_with_the_daemon(daemon: DaemonProcess, number: signal.Signals) -> None:
    assert daemon.ctl("generate", "Say hello.", "--max-tokens", "2").returncode == 0
    with watched(child_of(daemon.process.pid)) as ended:
        daemon.signal(number)

        assert daemon.wait() == (0 if number == signal.SIGTERM else -number)
        assert ended()


def test_a_stop_of_all_processes_lets_an_answer_finish(daemon: DaemonProcess) -> None:
    """A service manager may signal the engine too."""
    with daemon.start_ctl("generate", "--max-tokens", "40", "--temperature", "0", LONG) as process:
        first_words(process.stdout)
        engine = child_of(daemon.process.pid)
        with watched(engine) as ended:
            os.kill(engine, signal.SIGTERM)
            daemon.signal(signal.SIGTERM)
            _, told = process.communicate(timeout=15)

            assert process.returncode == 0
            assert "cut off after 40 tokens" in told
            assert daemon.wait() == 0
            assert ended()


@pytest.mark.usefixtures("weights")
def test_an_idle_engine_is_ended_and_comes_back(short_dir: Path) -> None:
    environ = {**EMBEDDED, "DEVSYNTH_EMBEDDED_IDLE_TIMEOUT": "1"}
    with daemon_process(short_dir, environ=environ) as daemon, Client(daemon.endpoint) as client:
        client.generate("Say hello.", max_tokens=2)
        generation = client.list().generation
        with watched(child_of(daemon.process.pid)) as ended:
            assert ended()
        idle = client.list(since=generation, timeout=10)
        assert [model.loaded for model in idle.models] == [False]

        assert client.generate("Say hello.", max_tokens=2).text


# The engine in the place of an upstream --------------------------------------------------------


@pytest.fixture(scope="module")
def standing_in(weights: Path) -> Iterator[DaemonProcess]:
    """Return a daemon whose upstream is not there, and whose engine answers in its place."""
    del weights  # the demo model, as nobody names another
    environ = {
        "DEVSYNTH_LLM_PROVIDER": "openai",
        "DEVSYNTH_LLM_API_BASE": f"http://127.0.0.1:{free_port()}/v1",
        "DEVSYNTH_EMBEDDED_ENABLED": "always",
        "DEVSYNTH_LLM_TEMPERATURE": "0",
        "DEVSYNTH_EMBEDDED_THREADS": "1",
    }
    with (
        tempfile.TemporaryDirectory(prefix="ds-") as folder,
        daemon_process(Path(folder), environ=environ) as daemon,
    ):
        yield daemon


def ask(daemon: DaemonProcess, fields: dict[str, object]) -> dict[str, Any]:
    """Return the reply to a generation that has *fields* besides its prompt."""
    with closing(Dealer(daemon.endpoint)) as dealer:
        return dealer.ask(op="generate", id=1, prompt="Say hello.", max_tokens=4, **fields)


def test_the_engine_stands_in_and_says_so(standing_in: DaemonProcess) -> None:
    outcome = standing_in.ctl(*SHORT_OPTIONS)

    assert outcome.returncode == 0
    assert "hello" in outcome.stdout.lower()
    assert "warning: the upstream is not reachable: local_model answered" in outcome.stderr


@pytest.mark.parametrize("fields", [{}, {"fallback": True}, {"model": "local_model"}], ids=repr)
def test_the_result_tells_who_stood_in(
    standing_in: DaemonProcess, fields: dict[str, object]
) -> None:
    answer = ask(standing_in, fields)["result"]

    assert (answer["model"], answer["fallback"]) == ("local_model", True)
    assert "fallback" in [warning["code"] for warning in answer["warnings"]]


@pytest.mark.parametrize(
    "fields", [{"fallback": False}, {"model": "x"}, {"model": "local_model", "fallback": False}]
)
def test_who_wants_nobody_else_gets_nobody_else(
    standing_in: DaemonProcess, fields: dict[str, object]
) -> None:
    assert ask(standing_in, fields)["error"]["code"] == "upstream_unavailable"


def test_a_named_model_is_not_replaced(standing_in: DaemonProcess) -> None:
    outcome = standing_in.ctl("generate", "--model", "x", "hi")

    assert (outcome.returncode, outcome.stdout) == (4, "")
    assert "127.0.0.1" in outcome.stderr


def test_the_list_tells_who_would_answer(standing_in: DaemonProcess) -> None:
    with Client(standing_in.endpoint) as client:
        listing = client.list()

    selection = listing.selection
    assert (selection.model, selection.how, selection.available) == (
        "local_model",
        "fallback",
        True,
    )
    assert [model.id for model in listing.models] == ["local_model"]
    assert [warning.code for warning in listing.warnings] == ["fallback"]
