"""The app as a whole: its starts and ends, and what it remembers of its clients."""

import pytest
import requests

from tests.lmstudio import paths
from tests.lmstudio.asking import GEMMA, QWEN, TOKEN, Asking, Client, ask_and_leave, chat_body
from tests.lmstudio.studio import LMStudio
from tests.support.upstream_exchange import Gate


def test_it_stops_and_starts_on_its_port_with_its_models(studio: LMStudio, client: Client) -> None:
    studio.load(GEMMA)
    url = studio.url
    studio.stop()
    with pytest.raises(requests.ConnectionError):
        client.get(paths.GREETING)
    studio.start()

    assert studio.url == url
    assert client.get(paths.MODELS_V0)["data"][0]["state"] == "loaded"


def test_an_upgrade_brings_new_routes_and_an_empty_memory() -> None:
    with LMStudio("openai", [QWEN]) as studio, Client(studio) as client:
        studio.load(QWEN)
        assert "error" in client.get(paths.MODELS_V1)
        studio.upgrade("v1")
        (model,) = client.get(paths.MODELS_V1)["models"]
        studio.upgrade("v0")
        again = client.get(paths.MODELS_V1)

    assert model["loaded_instances"] == []
    assert "error" in again


def test_a_stop_ends_what_is_under_way(studio: LMStudio) -> None:
    gate = Gate()
    studio.says("never", gate=gate)
    with Client(studio) as client, client.streaming(chat_body(stream=True)) as lines:
        gate.step(0)
        studio.stop()
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(lines)


def test_it_can_be_stopped_twice_and_while_a_model_loads(studio: LMStudio) -> None:
    studio.hold_loads()
    ask_and_leave(studio, paths.CHAT, chat_body())
    studio.stop()
    studio.stop()


def test_models_may_be_evicted_while_the_server_is_stopped(studio: LMStudio) -> None:
    studio.load(QWEN)
    studio.stop()
    studio.evict(QWEN)
    studio.clock.advance(1)
    studio.start()

    assert studio.world.instances == []


def test_evict_takes_all_of_a_key_or_one_instance(studio: LMStudio) -> None:
    for _ in range(3):
        studio.load(QWEN)
    studio.evict(f"{QWEN}:2")
    assert [instance.id for instance in studio.world.instances] == [QWEN, f"{QWEN}:3"]
    studio.evict(QWEN)

    assert studio.world.instances == []


def test_it_remembers_what_was_asked_over_a_restart(studio: LMStudio, client: Client) -> None:
    client.ask("GET", f"{paths.MODELS}?a=1", token=TOKEN)
    studio.stop()
    studio.start()
    client.post(paths.CHAT, chat_body())

    first, second = studio.requests()
    assert (first.method, first.path) == ("GET", f"{paths.MODELS}?a=1")
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert first.received_at < second.received_at
    assert second.body == chat_body()
    assert studio.requests(path=paths.MODELS) == [first]
    assert studio.requests(method="POST") == [second]
    assert studio.wait_request(2) is second


def test_a_reused_connection_can_meet_its_end(studio: LMStudio, client: Client) -> None:
    client.get(paths.MODELS)
    studio.quirks.resets_reused_connections = True

    with pytest.raises(requests.ConnectionError):
        client.get(paths.MODELS)
    assert "data" in client.get(paths.MODELS)  # on a new connection
    assert [each.connection for each in studio.requests()] == [1, 1, 2]


def test_a_failed_wait_says_for_what(studio: LMStudio) -> None:
    with pytest.raises(AssertionError, match=r"request 1 \(GET /v1/models\) has not come"):
        studio.wait_request(path=paths.MODELS, method="GET", timeout_s=0)


def test_parallel_answers_have_connections_of_their_own(studio: LMStudio) -> None:
    asking = [Asking(studio, paths.CHAT, chat_body()) for _ in range(4)]
    for each in asking:
        each.answer()

    assert len({exchange.connection for exchange in studio.requests()}) == 4
