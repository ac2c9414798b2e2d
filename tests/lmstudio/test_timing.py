"""What happens while something else does: loads, queues, evictions, clients that leave."""

import threading

import pytest
import requests

from tests.lmstudio import paths
from tests.lmstudio.asking import (
    GEMMA,
    NOMIC,
    QWEN,
    Asking,
    Client,
    ask_and_leave,
    chat_body,
    data,
    text_of,
)
from tests.lmstudio.completion import Answer
from tests.lmstudio.studio import LMStudio
from tests.support.upstream_exchange import WAIT_S, Gate

STREAM = chat_body(stream=True)


def test_a_chat_loads_its_model_and_waits_for_that_without_a_byte(studio: LMStudio) -> None:
    gate = studio.hold_loads()
    asking = [Asking(studio, paths.CHAT, chat_body()) for _ in range(2)]
    exchanges = [studio.wait_request(number, path=paths.CHAT) for number in (1, 2)]

    assert [exchange.bytes_sent for exchange in exchanges] == [0, 0]
    gate.step()  # one load, for both

    assert [each.answer().status_code for each in asking] == [200, 200]
    (instance,) = studio.world.instances
    assert instance.ttl_s == 3600


def test_the_request_that_loads_may_say_how_long_the_model_stays(
    studio: LMStudio, client: Client
) -> None:
    client.post(paths.CHAT, chat_body(ttl=60))
    client.post(paths.CHAT, chat_body(ttl=5))  # too late: it is loaded
    studio.clock.advance(59)
    assert [instance.id for instance in studio.world.instances] == [QWEN]
    studio.clock.advance(1)

    assert studio.world.instances == []


def test_a_load_for_a_chat_can_fail(studio: LMStudio, client: Client) -> None:
    studio.next_load_fails("Error loading model.")

    failed = client.ask("POST", paths.CHAT, STREAM)
    fine = client.ask("POST", paths.CHAT, STREAM)

    assert failed.status_code == 400
    text = f'Failed to load model "{QWEN}". Error: Error loading model.'
    assert failed.json()["error"]["message"] == text
    assert fine.status_code == 200


def test_a_load_goes_on_when_its_client_leaves(studio: LMStudio) -> None:
    gate = studio.hold_loads()
    ask_and_leave(studio, paths.CHAT, chat_body())
    studio.wait_disconnected()
    waiting = Asking(studio, paths.CHAT, chat_body())
    gate.step()  # the one load, which the first request began

    assert waiting.answer().json()["model"] == QWEN


@pytest.mark.parametrize(
    ("named", "done", "lines"),
    [
        (False, False, []),
        (True, False, ["event: error"]),
        (False, True, ["data: [DONE]"]),
    ],
)
def test_a_model_that_goes_in_the_middle_of_an_answer(
    studio: LMStudio, client: Client, lines: list[str], *, named: bool, done: bool
) -> None:
    studio.quirks.named_errors, studio.quirks.done_after_error = named, done
    gate = Gate()
    studio.says("Hello", " world", gate=gate)
    with client.streaming(STREAM) as stream:
        gate.step()
        assert data(next(stream))["choices"][0]["delta"]["content"] == "Hello"
        studio.evict(QWEN)
        rest = list(stream)

    (error,) = [data(line) for line in rest if line not in {"event: error", "data: [DONE]"}]
    assert error == {"error": {"message": "Model unloaded.", "type": "invalid_request_error"}}
    assert [line for line in rest if line in {"event: error", "data: [DONE]"}] == lines


def test_a_model_that_goes_may_just_end_the_stream(studio: LMStudio, client: Client) -> None:
    studio.quirks.interruption = "cut"
    gate = Gate()
    studio.says("Hello", " world", gate=gate)
    with client.streaming(STREAM) as stream:
        gate.step()
        next(stream)
        studio.evict(QWEN)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(stream)


def test_a_crash_fails_every_answer_of_the_model(studio: LMStudio) -> None:
    gates = [Gate(), Gate()]
    for gate in gates:
        studio.says("never", gate=gate)
    asking = [Asking(studio, paths.CHAT, chat_body()) for _ in gates]
    for gate in gates:
        gate.step(0)  # it is being answered
    studio.crash(QWEN)

    for each in asking:
        answer = each.answer()
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("The model has crashed")


def test_loading_for_a_chat_evicts_the_model_of_another(studio: LMStudio) -> None:
    gate = Gate()
    studio.says("never", gate=gate)
    first = Asking(studio, paths.CHAT, chat_body(QWEN))
    gate.step(0)  # it is being answered

    with Client(studio) as client:
        assert client.post(paths.CHAT, chat_body(GEMMA))["model"] == GEMMA

    assert first.answer().json() == {"error": "Model unloaded."}
    assert [instance.id for instance in studio.world.instances] == [GEMMA]


def test_time_evicts_a_model_that_answers_for_longer_than_it_may_idle(studio: LMStudio) -> None:
    gate = Gate()
    studio.says("never", gate=gate)
    asking = Asking(studio, paths.CHAT, chat_body(ttl=60))
    gate.step(0)
    studio.clock.advance(60)

    assert asking.answer().json() == {"error": "Model unloaded."}


def _be_answered_by_another(studio: LMStudio) -> None:
    """Go all the way that a request goes: one that came before had its turn, if it gets any."""
    studio.load(NOMIC)
    with Client(studio) as client:
        assert "data" in client.post(paths.EMBEDDINGS, {"model": NOMIC, "input": "a"})


def test_requests_beyond_what_an_instance_does_at_a_time_wait_in_silence() -> None:
    with LMStudio("v0") as studio:
        first, second = Gate(), Gate()
        studio.says("one", gate=first)
        studio.says("two", gate=second)
        answering = Asking(studio, paths.CHAT, STREAM)
        first.step(0)
        waiting = Asking(studio, paths.CHAT, STREAM)
        queued = studio.wait_request(2, path=paths.CHAT)
        _be_answered_by_another(studio)
        assert queued.bytes_sent == 0

        first.step(2)
        assert answering.answer().status_code == 200
        second.step(2)
        assert "two" in waiting.answer().text


def test_a_client_that_leaves_frees_its_place_when_the_prompt_is_read() -> None:
    with LMStudio("v0") as studio, Client(studio) as client:
        prompt = Gate()
        studio.next_answer(Answer(prompt=prompt))
        with client.streaming(STREAM):
            prompt.step(0)
        studio.wait_disconnected()

        next_one = Asking(studio, paths.CHAT, STREAM)
        queued = studio.wait_request(2, path=paths.CHAT)
        _be_answered_by_another(studio)
        assert queued.bytes_sent == 0
        prompt.step()
        assert next_one.answer().status_code == 200


def test_a_client_that_leaves_ends_the_answer(studio: LMStudio, client: Client) -> None:
    gate = Gate()
    studio.says("Hello", " world", gate=gate)
    with client.streaming(STREAM) as stream:
        gate.step()
        next(stream)

    assert studio.wait_disconnected().finished_at is None


def test_embeddings_load_their_model_too(studio: LMStudio) -> None:
    gate = studio.hold_loads()
    asking = Asking(studio, paths.EMBEDDINGS, {"model": NOMIC, "input": "a"})
    gate.step()

    assert asking.answer().status_code == 200


def test_a_gate_lets_one_token_through_at_a_time(studio: LMStudio, client: Client) -> None:
    gate = Gate()
    studio.says("a", "b", gate=gate)
    opener = threading.Thread(target=lambda: gate.step(3))
    opener.start()
    events = client.stream(STREAM)
    opener.join(WAIT_S)

    assert text_of(events) == "ab"
