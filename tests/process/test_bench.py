"""The benchmark itself: its references, and the command from end to end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.bench.answers import FAST, INSTANT, paced
from tests.bench.child import child
from tests.bench.direct import Direct
from tests.bench.rig import clean, connected
from tests.bench.stamps import is_whole, stamps_in
from tests.bench.timing import in_turns

LIMIT_S = 60


def test_the_upstream_sends_as_many_tokens_as_it_is_asked_for() -> None:
    with child("upstream") as port, requests.Session() as session:
        direct = Direct(session, f"http://127.0.0.1:{port}")

        direct.ask(INSTANT, 1000)
        direct.ask(INSTANT, 1)
        assert direct.first_token_ms(paced(FAST), 2) >= 1000 / FAST


def test_a_paced_answer_tells_when_each_token_was_sent() -> None:
    with child("upstream") as port:
        body = {"model": paced(FAST), "max_tokens": 5, "stream": True}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        answer = requests.post(url, json=body, timeout=LIMIT_S).text

    events = [json.loads(line[6:]) for line in answer.splitlines() if line.startswith("data: {")]
    deltas = [event["choices"][0]["delta"] for event in events if event["choices"]]
    text = "".join(delta.get("content", "") for delta in deltas)
    assert is_whole(text)
    first, *_, last = stamps_in(text)
    assert last - first >= 2.9e9 / FAST


def test_the_echo_answers_with_so_many_bytes(short_dir: Path) -> None:
    address = f"ipc://{short_dir / 'echo'}"
    with child("echo", address, "1234") as line, connected(address) as dealer:
        dealer.send(b"?")

        assert line == "bound"
        assert len(dealer.recv()) == 1234


def test_ways_are_measured_in_turns_after_a_warm_up() -> None:
    order: list[str] = []

    def way(name: str) -> float:
        order.append(name)
        return len(order)

    found = in_turns(lambda: way("a"), lambda: way("b"), rounds=2, batch=2)

    assert "".join(order) == "aabbbbaaaabb"
    assert found == [[7, 8, 9, 10], [5, 6, 11, 12]]


def test_what_slows_programs_down_is_left_out() -> None:
    environ = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "DEVSYNTH_LLM_MODEL": "m"}

    clean(environ)

    assert environ == {"PATH": "/bin"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(LIMIT_S)
def test_a_row_can_be_chosen_and_its_verdict_is_the_exit_status() -> None:
    command = [sys.executable, "-m", "tests.bench", "pipelined", "memory", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    findings = json.loads(ran.stdout)["findings"]
    assert [each["what"] for each in findings] == ["list, pipelined", "memory, after the benchmark"]
    assert ran.returncode == (not all(each["met"] for each in findings))


def test_an_unknown_row_is_refused_with_those_that_there_are() -> None:
    command = [sys.executable, "-m", "tests.bench", "lists"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert ran.returncode == 2
    assert "there is no row 'lists'; there are list, pipelined" in ran.stderr
