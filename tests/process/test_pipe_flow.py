"""Many requests over a pipe, and slow ones at either end of it."""

import json
import subprocess
from pathlib import Path

from devsynthctl import Client
from tests.process.conftest import asks
from tests.process.piped import WAIT_S, last_of, piped
from tests.process.test_ctl_requests import wait_states
from tests.support.daemon import CTL, DaemonProcess, daemon_process
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer


def from_file(daemon: DaemonProcess, folder: Path, lines: list[str], *options: str) -> list[str]:
    """Run the pipe from a file into a file; return the lines of the second one."""
    questions, answers = folder / "questions.jsonl", folder / "answers.jsonl"
    questions.write_text("".join(f"{line}\n" for line in lines))
    with questions.open("rb") as stdin, answers.open("wb") as stdout:
        subprocess.run(
            [*CTL, "pipe", *options],
            env=daemon.environ,
            stdin=stdin,
            stdout=stdout,
            timeout=WAIT_S,
            check=True,
        )
    return answers.read_text().splitlines()


def test_200_requests_of_a_file_are_answered_and_none_is_refused(
    daemon: DaemonProcess, short_dir: Path, upstream: UpstreamServer
) -> None:
    ids = [number if number % 2 else f"n{number}" for number in range(200)]
    lines = [json.dumps({"op": "generate", "id": each, "prompt": str(each)}) for each in ids]

    answers = last_of([json.loads(line) for line in from_file(daemon, short_dir, lines)])

    assert set(answers) == set(ids)
    assert {reply["type"] for reply in answers.values()} == {"result"}
    assert len(upstream.generations) == 200


def test_5000_requests_of_other_kinds_are_answered(daemon: DaemonProcess, short_dir: Path) -> None:
    lines = [json.dumps({"op": "list", "id": number}) for number in range(5000)]

    answers = last_of([json.loads(line) for line in from_file(daemon, short_dir, lines)])

    assert len(answers) == 5000


def test_no_more_is_read_than_may_be_in_flight(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.extend([tokens("x", gate=gate), silence()])
    with piped(daemon.environ, "--in-flight", "2") as pipe:
        for number in (1, 2, 3):
            pipe.send("generate", number, prompt="hi")
            if number < 3:
                upstream.wait_generation(number)
        pipe.send("ping", "behind")
        assert [each.id for each in wait_states(daemon, ["waiting", "waiting"])] == [1, 2]

        gate.step(2)
        assert pipe.result(3)["text"] == "Hello world"
        pipe.send("cancel", "c", target=2)

        order = [reply["id"] for reply in pipe.end()]
    assert order.index(1) < order.index("behind")


def test_what_is_not_generated_is_not_counted(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with piped(daemon.environ, "--in-flight", "1") as pipe:
        pipe.send("generate", "g", prompt="hi")
        for number in range(50):
            pipe.send("subscribe", number, topics=["upstream"])
        assert pipe.reply("event", 49)
        pipe.send("cancel", "c", target="g")
        assert pipe.result("c") == {"cancelled": True}
        pipe.send("generate", "next", prompt="hi")

        assert last_of(pipe.end())["next"]["result"]["text"] == "Hello world"


def test_a_large_body_waits_for_room(short_dir: Path, upstream: UpstreamServer) -> None:
    """So a file of images does not fill the memory, here or in the daemon."""
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    environ = asks(upstream, daemon_max_concurrency="1")
    with daemon_process(short_dir, environ=environ) as daemon, piped(daemon.environ) as pipe:
        prompt = "x" * (24 * 2**20)
        for number in (1, 2):
            pipe.send("generate", number, prompt=prompt)
        upstream.wait_generation()
        wait_states(daemon, ["waiting", "queued"])
        pipe.send("generate", 3, prompt=prompt)
        pipe.send("ping", "behind")

        gate.step(2)

        order = [reply["id"] for reply in pipe.end()]
    assert order.index(1) < order.index("behind")
    assert len(upstream.generations) == 3


def test_a_cancel_passes_a_reader_that_does_not_read(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after(*["x" * 8000] * 2000))
    with piped(daemon.environ, reads=False) as pipe, Client(daemon.endpoint) as watcher:
        pipe.send("generate", "g", prompt="hi", stream=True)
        sent, exchange = 0, upstream.wait_generation()
        while not sent or sent != exchange.bytes_sent:  # until nothing moves any more
            sent = exchange.bytes_sent
            for _ in range(300):
                watcher.ping()
        pipe.write("a bad line\n")
        pipe.send("cancel", "c", target="g")
        upstream.wait_disconnected()

        pipe.read_on()
        assert pipe.result("c") == {"cancelled": True}
        *chunks, last = [reply for reply in pipe.end() if reply["id"] == "g"]
    assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
    assert last["error"]["code"] == "cancelled"
    assert last["error"]["details"]["text"] == "".join(chunk["text"] for chunk in chunks)
