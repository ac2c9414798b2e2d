"""``devsynthctl`` as people and scripts use it, on a real daemon."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, cast

from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, daemon_process, environ_of
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import (
    flood,
    silence,
    silence_after,
    status,
    tokens,
)
from tests.support.upstream_server import UpstreamServer, free_port

INTERRUPTED, BROKEN_PIPE = 130, 141
SOON_S = 0.5  # for a cancellation to reach the upstream; it takes some milliseconds


def in_shell(daemon: DaemonProcess, script: str) -> subprocess.CompletedProcess[str]:
    """Run *script* by bash, with a function ``devsynthctl``."""
    function = f'devsynthctl() {{ "{sys.executable}" -m devsynthctl "$@"; }}\n'
    return subprocess.run(
        ["bash", "-c", function + script],
        env=daemon.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


# What a person would try first -----------------------------------------------------------------


def test_models_as_json_is_json(daemon: DaemonProcess) -> None:
    outcome = in_shell(daemon, f"devsynthctl models --json | {sys.executable} -m json.tool")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    result = json.loads(outcome.stdout)
    assert [model["id"] for model in result["models"]] == ["m"]
    assert result["selection"]["model"] == "m"


def test_a_prompt_may_be_piped(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    outcome = in_shell(daemon, "echo hi | devsynthctl generate")

    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "Hello world\n", "")
    assert upstream.generations[0].body["messages"] == [{"role": "user", "content": "hi"}]


def test_arguments_and_pipe_make_one_prompt(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    daemon.ctl("generate", "explain", "this", stdin="x = 1\n")

    (message,) = upstream.generations[0].body["messages"]
    assert message["content"] == "explain this\n\nx = 1"


def test_head_ends_a_long_answer_silently(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(flood("a line\n"))

    outcome = in_shell(daemon, 'devsynthctl generate hi | head -1; echo "${PIPESTATUS[@]}"')

    ended_at = time.monotonic()
    assert (outcome.stdout, outcome.stderr) == (f"a line\n{BROKEN_PIPE} 0\n", "")
    assert upstream.wait_disconnected() - ended_at < SOON_S


def test_ctrl_c_ends_the_answer(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence_after("so far\n"))
    with daemon.start_ctl("generate", "hi") as process:
        assert cast("IO[str]", process.stdout).readline() == "so far\n"
        process.send_signal(signal.SIGINT)
        interrupted_at = time.monotonic()

        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == INTERRUPTED
        assert upstream.wait_disconnected() - interrupted_at < SOON_S


def test_ctrl_c_ends_the_wait_for_a_silent_upstream(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with daemon.start_ctl("generate", "hi") as process:
        upstream.wait_generation()
        process.send_signal(signal.SIGINT)
        interrupted_at = time.monotonic()

        assert process.wait(10) == INTERRUPTED
        assert upstream.wait_disconnected() - interrupted_at < SOON_S


def test_a_killed_client_ends_its_answer(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    with daemon.start_ctl("generate", "hi") as process:
        upstream.wait_generation()
        process.kill()
        killed_at = time.monotonic()

        assert upstream.wait_disconnected() - killed_at < SOON_S
    assert daemon.ctl("generate", "hi").stdout == "Hello world\n"


def test_twenty_clients_at_once_get_each_their_own(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    async def echo(exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        await tokens("you said ", prompt)(exchange)

    upstream.script.extend([echo] * 20)
    command = [*CTL, "generate"]
    clients = [
        subprocess.Popen(
            [*command, f"prompt {number}"],
            env=daemon.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(20)
    ]

    answers = [client.communicate(timeout=15)[0] for client in clients]

    assert answers == [f"you said prompt {number}\n" for number in range(20)]
    assert {client.returncode for client in clients} == {0}


# Exit statuses ---------------------------------------------------------------------------------


def test_without_a_daemon_it_says_how_to_start_one(short_dir: Path) -> None:
    outcome = subprocess.run(
        [*CTL, "models"],
        env=environ_of(short_dir),
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )

    assert (outcome.returncode, outcome.stdout) == (3, "")
    assert str(short_dir / "s.sock") in outcome.stderr
    assert "start the daemon: devsynthd" in outcome.stderr


def test_a_model_that_is_not_there_is_5(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.models = ["llama-3"]

    outcome = daemon.ctl("generate", "-m", "lama-3", "hi")

    assert (outcome.returncode, outcome.stdout) == (5, "")
    assert "lama-3 is not in the list" in outcome.stderr
    assert "did you mean llama-3?" in outcome.stderr
    assert upstream.generations == []


def test_an_upstream_that_is_not_there_is_4(short_dir: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with daemon_process(short_dir, environ=asks(f"http://{address}/v1")) as daemon:
        outcome = daemon.ctl("generate", "hi")
        listed = daemon.ctl("models", "-q")

    assert (outcome.returncode, outcome.stdout) == (4, "")
    assert address in outcome.stderr
    assert (listed.returncode, listed.stdout) == (0, "local_model\n")
    assert address in listed.stderr


def test_a_timeout_is_6_and_cancels(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())

    outcome = daemon.ctl("--timeout", "0.5", "generate", "hi")

    assert (outcome.returncode, outcome.stdout) == (6, "")
    assert "not done within" in outcome.stderr
    upstream.wait_disconnected()


def test_a_daemon_that_is_killed_is_3_at_once(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("so far\n"))
    with daemon.start_ctl("generate", "hi") as process:
        assert cast("IO[str]", process.stdout).readline() == "so far\n"
        daemon.signal(signal.SIGKILL)
        killed_at = time.monotonic()
        _, told = process.communicate(timeout=10)

    assert process.returncode == 3
    assert time.monotonic() - killed_at < 2
    assert "went away before its answer" in told


def test_a_daemon_that_drains_is_waited_for_and_then_7(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("so far\n"))
    with daemon.start_ctl("generate", "hi") as process:
        assert cast("IO[str]", process.stdout).readline() == "so far\n"
        daemon.ctl("shutdown")

        outcome = daemon.ctl("--timeout", "0.5", "generate", "hi")

    assert outcome.returncode == 7
    assert "shutting down" in outcome.stderr


def test_an_error_of_the_upstream_is_told_and_1(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(status(500, {"error": {"message": "out of \x1b[31mluck"}}))

    outcome = daemon.ctl("generate", "hi")

    assert outcome.returncode == 1
    assert "luck" in outcome.stderr
    assert "\x1b" not in outcome.stderr


def test_an_error_as_json_leaves_stdout_empty(daemon: DaemonProcess) -> None:
    outcome = daemon.ctl("--json", "generate", "-m", "none", "hi")

    assert (outcome.returncode, outcome.stdout) == (5, "")
    assert json.loads(outcome.stderr)["error"]["code"] == "model_not_found"


# Settings of the shell -------------------------------------------------------------------------


def test_the_shells_own_settings_are_sent(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.models = ["m", "b"]
    shell = {
        "DEVSYNTH_LLM_MODEL": "b",
        "DEVSYNTH_LLM_MAX_TOKENS": "7",
        "DEVSYNTH_LLM_TEMPERATURE": "0.1",
    }

    daemon.ctl("generate", "hi", environ=shell)
    daemon.ctl("generate", "-m", "m", "--max-tokens", "9", "hi", environ=shell)
    daemon.ctl("generate", "hi")

    sent = [
        (each.body["model"], each.body["max_tokens"], each.body["temperature"])
        for each in upstream.generations
    ]
    assert sent == [("b", 7, 0.1), ("m", 9, 0.1), ("m", 1024, 0.7)]
