"""``devsynthctl pipe``: a line in is a request, a line out is a reply."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devsynthd.wire.limits import MAX_BODY_BYTES
from tests.process.piped import WAIT_S, last_of, piped
from tests.support.daemon import CTL, DaemonProcess, environ_of
from tests.support.terminal import shown_on_terminal
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, tokens
from tests.support.upstream_server import UpstreamServer

PING = '{"op": "ping", "id": 1}'


def replies_to(daemon: DaemonProcess, text: str, *options: str) -> list[dict[str, Any]]:
    outcome = daemon.ctl("pipe", *options, stdin=text)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return [json.loads(line) for line in outcome.stdout.splitlines()]


def test_each_line_is_answered_as_the_daemon_answers_it(daemon: DaemonProcess) -> None:
    with piped(daemon.environ) as pipe:
        pipe.send("ping", 1)
        assert pipe.result(1)["pid"] == daemon.process.pid
        pipe.send("list", "models")
        assert [model["id"] for model in pipe.result("models")["models"]] == ["m"]
        pipe.send("pong", 2)
        assert pipe.error(2)["hint"] == "did you mean `ping`?"
        pipe.send("generate", 3, prompt=" ")
        assert pipe.error(3)["code"] == "bad_request"

        assert len(pipe.end()) == 4


def test_an_answer_comes_in_chunks(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("wie ", "schön", gate=gate))
    with piped(daemon.environ) as pipe:
        pipe.send("generate", "g", prompt="hi", stream=True)
        gate.step()
        assert pipe.reply("chunk", "g")["text"] == "wie "
        pipe.send("ping", 1)
        assert pipe.result(1)
        gate.step(2)

        *chunks, last = [reply for reply in pipe.end() if reply["id"] == "g"]
    assert "".join(chunk["text"] for chunk in chunks) == "wie schön" == last["result"]["text"]


def test_events_come_until_the_subscription_is_cancelled(daemon: DaemonProcess) -> None:
    with piped(daemon.environ) as pipe:
        pipe.send("subscribe", "s", topics=["models"])
        assert pipe.reply("event", "s")["data"]["models"][0]["id"] == "m"
        pipe.send("cancel", 1, target="s")

        assert pipe.error("s")["code"] == "cancelled"
        assert pipe.result(1) == {"cancelled": True}
        pipe.end()


def test_the_last_line_needs_no_end_and_others_any(daemon: DaemonProcess) -> None:
    text = f"\ufeff{PING}\r\n\r\n \n" + PING.replace("1", "2") + "\n" + PING.replace("1", "3")

    assert [reply["id"] for reply in replies_to(daemon, text)] == [1, 2, 3]


def test_a_line_that_cannot_be_answered_by_its_id_is_answered_by_its_number(
    daemon: DaemonProcess,
) -> None:
    text = f'{PING}\n\nping\n[{PING}]\n{{"op": "ping"}}\n{{"op": "ping", "id": []}}\n'

    *errors, pong = sorted(replies_to(daemon, text), key=lambda reply: reply["type"])

    assert pong["id"] == 1
    assert [reply["id"] for reply in errors] == [None] * 4
    assert [reply["error"]["details"] for reply in errors] == [{"line": n} for n in (3, 4, 5, 6)]
    assert {reply["error"]["code"] for reply in errors} == {"bad_request"}
    assert [reply["error"]["message"].split(" (")[0] for reply in errors][1:] == [
        "line 4 is not a JSON object",
        "line 5 has no `id`",
        "line 6 has an `id` that cannot be one",
    ]


def test_a_line_of_33_mib_is_skipped_and_one_of_32_is_not(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    start = '{"op": "generate", "id": 2, "prompt": "'
    fits = start + "x" * (MAX_BODY_BYTES - len(start) - 2) + '"}'
    with piped(daemon.environ) as pipe:
        pipe.write("x" * (33 * 2**20) + "\n" + PING + "\n")

        assert pipe.error(None)["details"] == {"line": 1}
        assert "longer than 33554432 bytes" in pipe.error(None)["message"]
        assert pipe.result(1)
        pipe.write(fits)
        assert last_of(pipe.end())[2]["type"] == "result"
    assert len(upstream.generations) == 1


def test_a_line_that_the_daemon_could_not_answer_is_not_sent(daemon: DaemonProcess) -> None:
    line = '{"op": "generate", "id": 5, "x": ' + "[" * 40_000 + "]" * 40_000 + "}"

    error, pong = replies_to(daemon, f"{line}\n{PING}\n")

    assert error["id"] is None
    assert error["error"]["message"].endswith("is nested too deeply")
    assert pong["id"] == 1


def test_an_id_is_free_again_when_its_request_has_ended(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with piped(daemon.environ) as pipe:
        pipe.send("generate", 1, prompt="hi")
        upstream.wait_generation()
        pipe.send("ping", 1.0)
        twice = pipe.error(None)
        assert twice["code"] == "bad_request"
        assert twice["details"] == {"line": 2, "id": 1}

        pipe.send("cancel", "c", target=1)
        assert pipe.error(1)["code"] == "cancelled"
        assert pipe.result("c")
        pipe.send("ping", 1)
        assert pipe.result(1)
        assert len(pipe.end()) == 4


def test_who_asks_and_until_when_is_filled_in(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.extend([silence(), silence()])
    with piped(daemon.environ, before=("--timeout", "0.3")) as pipe:
        pipe.send("generate", "default", prompt="hi")
        pipe.send("generate", "own", prompt="hi", timeout=60, client="tests/1")
        assert pipe.error("default")["code"] == "deadline_exceeded"

        pipe.send("status", "s")
        (running,) = pipe.result("s")["requests"]
        assert (running["id"], running["client"]) == ("own", "tests/1")
        pipe.send("generate", "next", prompt="hi", model="m")
        pipe.send("cancel", "c", target="own")
        pipe.end()


def test_its_name_is_told_where_a_line_has_none(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with piped(daemon.environ) as pipe:
        pipe.send("generate", 1, prompt="hi")
        upstream.wait_generation()
        pipe.send("status", 2)

        assert pipe.result(2)["requests"][0]["client"].startswith("devsynthctl pipe/")


@pytest.mark.parametrize("number", ["1e400", "123456789012345678901234567890", "7.5"])
def test_a_number_is_the_daemons_to_judge(daemon: DaemonProcess, number: str) -> None:
    line = f'{{"op": "generate", "id": 1, "prompt": "hi", "seed": {number}}}'

    (refused,) = replies_to(daemon, line)

    assert (refused["id"], refused["error"]["code"]) == (1, "bad_request")


def test_json_changes_nothing(daemon: DaemonProcess) -> None:
    assert replies_to(daemon, PING, "--json") == replies_to(daemon, PING)


def test_nothing_in_is_nothing_out(daemon: DaemonProcess) -> None:
    assert replies_to(daemon, "") == []


def test_stdin_may_be_closed_from_the_start(daemon: DaemonProcess) -> None:
    outcome = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *CTL, "pipe"],
        env=daemon.environ,
        capture_output=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, b"", b"")


def test_what_cannot_be_read_is_told(daemon: DaemonProcess, short_dir: Path) -> None:
    with (short_dir / "file").open("wb") as write_only:
        outcome = subprocess.run(
            [*CTL, "pipe"],
            env=daemon.environ,
            stdin=write_only,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr == "devsynthctl: stdin cannot be read: Bad file descriptor\n"


def test_a_terminal_gets_no_control_characters(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(tokens("a\x9bb\u202ec"))
    line = '{"op": "generate", "id": 1, "prompt": "hi"}'

    _, shown = shown_on_terminal(
        ["sh", "-c", f"echo '{line}' | \"$@\"", "sh", *CTL, "pipe"], daemon.environ
    )

    assert "a\\u009bb\\u202ec" in shown


@pytest.mark.parametrize("option", ["0", "-1", "many"])
def test_a_wrong_number_in_flight_is_a_usage_error(short_dir: Path, option: str) -> None:
    outcome = subprocess.run(
        [*CTL, "pipe", "--in-flight", option],
        env=environ_of(short_dir),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 2
    assert "--in-flight" in outcome.stderr


def test_its_help_has_an_example_in_one_line() -> None:
    outcome = subprocess.run([*CTL, "pipe", "--help"], capture_output=True, text=True, check=True)

    assert '"prompt": "Say hello"}' in outcome.stdout
    assert any(line.endswith("| devsynthctl pipe") for line in outcome.stdout.splitlines())
