"""What a real model and its own server show: parameters are heeded, and cancelling frees them.

The daemon speaks to the engine as to any llama-server, so that the tests can ask that for its
metrics, too.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from devsynthctl import Client
from devsynthd.upstream.engine import Endpoint
from devsynthd.wire.errors import DeadlineExceeded, DevsynthError, NotSupported
from tests.engine.conftest import EngineInThread
from tests.service.asking import AnyDict, result, until_answered, wait_queue
from tests.support.daemon import Dealer, RunningDaemon, start_daemon

pytestmark = pytest.mark.timeout(60)

LONG = "Write a long story about a dragon and a knight."
LIMIT_S = 20.0
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "big": {"type": "boolean"}},
    "required": ["city", "big"],
    "additionalProperties": False,
}


@pytest.fixture
def endpoint(shared: EngineInThread) -> Iterator[Endpoint]:
    with shared.lease() as leased:
        yield leased


@pytest.fixture
def daemon(short_dir: Path, endpoint: Endpoint) -> Iterator[RunningDaemon]:
    with start_daemon(
        short_dir,
        endpoint.base_url,
        llm_api_key=endpoint.api_key,
        llm_temperature=0.0,
        daemon_max_concurrency=2,
    ) as running:
        yield running


@pytest.fixture
def client(daemon: RunningDaemon) -> Client:
    return daemon.client()


@pytest.fixture
def dealer(daemon: RunningDaemon) -> Dealer:
    return daemon.dealer()


def metrics(endpoint: Endpoint) -> dict[str, float]:
    """Return what the engine counts itself."""
    answer = requests.get(
        endpoint.base_url.removesuffix("/v1") + "/metrics",
        headers={"Authorization": f"Bearer {endpoint.api_key}"},
        timeout=LIMIT_S,
    )
    lines = (line.split() for line in answer.text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("llamacpp:"): float(value) for name, value in lines}


def wait_processing(endpoint: Endpoint, count: int) -> None:
    """Wait until the engine works on *count* answers."""
    deadline = time.monotonic() + LIMIT_S
    while (busy := metrics(endpoint)["requests_processing"]) != count:
        assert time.monotonic() < deadline, f"{busy} are processed, not {count}"


def test_chunks_come_while_it_generates(dealer: Dealer, endpoint: Endpoint) -> None:
    dealer.send(op="generate", id=1, prompt=LONG, stream=True, max_tokens=400)

    first = dealer.receive()

    assert first["seq"] == 0
    assert metrics(endpoint)["requests_processing"] == 1  # and it goes on
    dealer.send(op="cancel", id=2, target=1)
    until_answered(dealer, 1, 2)


def test_the_same_seed_draws_the_same_tokens(client: Client) -> None:
    def ask(seed: int) -> str:
        return client.generate("Name an animal.", seed=seed, temperature=1.5, max_tokens=12).text

    assert ask(1) == ask(1)
    assert len({ask(seed) for seed in range(2, 7)}) > 1


def test_a_limit_of_tokens_is_kept(client: Client) -> None:
    answer = client.generate(LONG, max_tokens=7)

    assert answer.usage is not None
    assert answer.usage.completion_tokens == 7
    assert answer.finish_reason == "length"
    assert [warning.code for warning in answer.warnings] == ["truncated"]


def test_a_stop_text_ends_the_answer_before_it(client: Client) -> None:
    whole = client.generate("Count from one to ten.", max_tokens=40).text
    middle = whole[len(whole) // 2 :][:6]

    answer = client.generate("Count from one to ten.", max_tokens=40, stop=[middle])

    assert answer.text == whole[: whole.index(middle)]
    assert answer.finish_reason == "stop"


def test_a_bias_forbids_a_token(client: Client) -> None:
    first = client.generate("Say hello.", max_tokens=1).text

    assert client.generate("Say hello.", max_tokens=1, logit_bias={first: -100}).text != first


@pytest.mark.parametrize("stream", [False, True])
def test_a_schema_is_kept_to(client: Client, *, stream: bool) -> None:
    prompt = "Describe Paris as JSON."
    if stream:
        with client.stream(prompt, schema=SCHEMA, max_tokens=100) as chunks:
            text = "".join(chunk.text for chunk in chunks)
            assert chunks.result.text == text
    else:
        text = client.generate(prompt, schema=SCHEMA, max_tokens=100).text

    assert set(json.loads(text)) == {"city", "big"}


def test_a_schema_that_is_cut_short_is_told(client: Client) -> None:
    with pytest.raises(DevsynthError, match="cut off") as caught:
        client.generate("Describe Paris as JSON.", schema=SCHEMA, max_tokens=8)

    assert caught.value.code == "upstream_error"
    assert caught.value.details["text"]


def test_a_raw_prompt_is_gone_on_with(client: Client) -> None:
    answer = client.generate("1, 2, 3, 4, 5, 6,", raw=True, max_tokens=4)

    assert "7" in answer.text


def test_a_model_that_fills_no_gaps_says_so(client: Client) -> None:
    with pytest.raises(NotSupported):
        client.generate("def add(a, b):\n", raw=True, suffix="\n\nprint(add(1, 2))")


def test_a_server_that_makes_no_vectors_says_so(client: Client) -> None:
    with pytest.raises(DevsynthError) as caught:
        client.embed("hello", model="local_model")

    assert caught.value.code in {"not_supported", "upstream_error"}


@pytest.mark.parametrize("stream", [False, True])
def test_cancelling_stops_the_engine(dealer: Dealer, endpoint: Endpoint, *, stream: bool) -> None:
    dealer.send(op="generate", id=1, prompt=LONG, stream=stream, max_tokens=400)
    wait_processing(endpoint, 1)

    dealer.send(op="cancel", id=2, target=1)
    *_, ended, cancelled = until_answered(dealer, 1, 2)

    assert (ended["error"]["code"], result(cancelled)) == ("cancelled", {"cancelled": True})
    wait_processing(endpoint, 0)


def test_a_deadline_stops_the_engine(client: Client, endpoint: Endpoint) -> None:
    with pytest.raises(DeadlineExceeded) as caught:
        client.generate(LONG, max_tokens=400, timeout=1.5)

    assert "text" in caught.value.details
    wait_processing(endpoint, 0)


def test_a_client_that_leaves_stops_the_engine(daemon: RunningDaemon, endpoint: Endpoint) -> None:
    leaving = daemon.dealer()
    leaving.send(op="generate", id=1, prompt=LONG, stream=True, max_tokens=400)
    wait_processing(endpoint, 1)

    leaving.close()

    wait_processing(endpoint, 0)


def test_two_run_at_once_and_the_third_waits_in_the_daemon(
    daemon: RunningDaemon, dealer: Dealer, endpoint: Endpoint
) -> None:
    for number in range(3):
        dealer.send(op="generate", id=number, prompt=LONG, stream=True, max_tokens=300)
    wait_processing(endpoint, 2)

    report = wait_queue(daemon.dealer(), running=2, waiting=1)

    assert metrics(endpoint)["requests_deferred"] == 0
    states: list[AnyDict] = report["requests"]
    assert [each["state"] for each in states if each["id"] == 2] == ["queued"]
    for number in (2, 1, 0):
        dealer.send(op="cancel", id=f"c{number}", target=number)
        until_answered(dealer, number, f"c{number}")
    wait_processing(endpoint, 0)
