"""Each fault, as a client meets it."""

import json
from typing import Any

import pytest
import requests

from tests.lmstudio import faults, paths
from tests.lmstudio.asking import Asking, Client, ask_and_leave, chat_body, text_of
from tests.lmstudio.script import Fault
from tests.lmstudio.studio import LMStudio
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import raw

STREAM = chat_body(stream=True)


@pytest.mark.parametrize(
    ("fault", "status", "error"),
    [
        (faults.unexpected_endpoint(), 200, f"Unexpected endpoint or method. (POST {paths.CHAT})"),
        (faults.plain_error("Channel Error"), 400, "Channel Error"),
        (faults.plain_error("oops", 500), 500, "oops"),
        (faults.crashed(), 400, "The model has crashed without additional information."),
        (faults.reloaded(), 400, "Model reloaded."),
        (faults.unloaded(), 400, "Model is unloaded."),
        (faults.overflow(), 400, "The number of tokens to keep from the initial prompt"),
        (faults.no_models_loaded(), 400, {"param": "model", "code": None}),
        (faults.object_error("x", "model_not_found", 404), 404, {"code": "model_not_found"}),
        (faults.native_error("internal_error", "x", 500), 500, {"type": "internal_error"}),
        (faults.unauthorized(), 401, {"code": "invalid_api_key"}),
        (faults.forbidden(), 403, {"type": "invalid_request"}),
        (faults.stringified_issues(), 400, "[\n"),
    ],
)
def test_errors_without_a_stream(
    studio: LMStudio, client: Client, fault: Fault, status: int, error: str | dict[str, Any]
) -> None:
    studio.next_fault(fault)

    answer = client.ask("POST", paths.CHAT, STREAM)

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/json")
    found = answer.json()["error"]
    if isinstance(error, str):
        assert found.startswith(error)
    else:
        assert found.items() >= error.items()
    assert text_of(client.stream(STREAM)) == "Hello world"  # once only


def test_issues_are_a_json_array_inside_the_text(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.stringified_issues())

    issues = json.loads(client.post(paths.CHAT, STREAM)["error"])

    assert {"code", "message"} <= issues[0].keys()


def _frames(studio: LMStudio, client: Client, fault: Fault) -> list[str]:
    studio.next_fault(fault)
    with client.streaming(STREAM) as lines:
        return list(lines)


def test_errors_inside_a_stream(studio: LMStudio, client: Client) -> None:
    plain = _frames(studio, client, faults.stream_error("Channel Error", after=["Hel"]))
    named = _frames(studio, client, faults.stream_error("Channel Error", named=True, done=True))
    bare = _frames(studio, client, faults.stream_error({"message": 1}))
    long = _frames(studio, client, faults.overflow_in_stream(named=True))

    error = 'data: {"error": {"message": "Channel Error", "type": "invalid_request_error"}}'
    assert '"Hel"' in plain[0]
    assert plain[1:] == [error]
    assert named == ["event: error", error, "data: [DONE]"]
    assert bare == ['data: {"error": {"message": 1}}']
    assert "n_ctx: 4096" in long[1]


def test_a_stream_may_hang_after_its_error(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.stream_error("Channel Error", hangs=True))
    with client.streaming(STREAM) as lines:
        assert "Channel Error" in next(lines)

    assert studio.wait_disconnected().finished_at is None


@pytest.mark.parametrize(
    ("fault", "text", "finish", "done"),
    [
        (faults.end_without_done("Hel", "lo"), "Hello", [], False),
        (faults.empty_stream(), "", [], False),
        (faults.empty_stream(finished=True), "", ["stop"], True),
        (faults.usage_only(), "", [], True),
        (faults.empty_choices("Hel", "lo"), "Hello", ["stop"], True),
        (faults.empty_tool_calls("Hel", "lo"), "Hello", ["stop"], True),
    ],
)
def test_odd_streams(
    studio: LMStudio, client: Client, fault: Fault, text: str, finish: list[str], *, done: bool
) -> None:
    studio.next_fault(fault, path=paths.CHAT)

    events = client.stream(STREAM)

    chunks = [event for event in events if event != "[DONE]"]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert text_of(events) == text
    assert [each["finish_reason"] for each in choices if each["finish_reason"]] == finish
    assert ("[DONE]" in events) == done


def test_chunks_without_a_choice_or_with_empty_tool_calls_are_there(
    studio: LMStudio, client: Client
) -> None:
    studio.next_fault(faults.empty_choices("a"))
    assert [] in [event["choices"] for event in client.stream(STREAM)[:-1]]

    studio.next_fault(faults.empty_tool_calls("a"))
    assert client.stream(STREAM)[0]["choices"][0]["delta"]["tool_calls"] == []


def test_a_stream_that_is_cut(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.end_without_done("Hel", cut=True))

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.stream(STREAM)


def test_a_reset(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.reset(), path=paths.MODELS)

    with pytest.raises(requests.ConnectionError):
        client.get(paths.MODELS)
    assert "data" in client.get(paths.MODELS)


def test_a_web_page(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.not_json(502), method="GET")

    answer = client.ask("GET", paths.MODELS)

    assert (answer.status_code, answer.text[:9]) == (502, "<!doctype")


def test_a_slow_first_byte_is_followed_by_the_good_answer(studio: LMStudio) -> None:
    gate = Gate()
    studio.next_fault(faults.slow_first_byte(gate), path=paths.CHAT)
    asking = Asking(studio, paths.CHAT, STREAM)
    gate.step(0)
    assert studio.requests(path=paths.CHAT)[0].bytes_sent == 0

    gate.step()
    assert "Hello" in asking.answer().text


def test_no_answer_at_all(studio: LMStudio) -> None:
    studio.next_fault(faults.no_answer())
    ask_and_leave(studio, paths.MODELS)

    assert studio.wait_disconnected(path=paths.MODELS).bytes_sent == 0


def test_any_scripted_reply_is_a_fault(studio: LMStudio, client: Client) -> None:
    studio.next_fault(faults.instead(raw(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")))

    assert client.ask("GET", paths.MODELS).status_code == 503


def test_a_fault_meets_only_the_requests_that_it_is_meant_for(
    studio: LMStudio, client: Client
) -> None:
    studio.next_fault(faults.not_json(), path=paths.MODELS_V1, times=2)

    other = client.ask("GET", paths.MODELS)
    types = [client.ask("GET", paths.MODELS_V1).headers["Content-Type"] for _ in range(3)]

    assert "data" in other.json()
    assert [each.split(";")[0] for each in types] == ["text/html", "text/html", "application/json"]
