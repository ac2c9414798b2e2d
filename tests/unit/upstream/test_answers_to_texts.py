"""Answers to texts that are gone on with, and to gaps that are filled in."""

import json

import pytest

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Delta, Ending
from devsynthd.upstream.failures import ModelGone
from devsynthd.wire.errors import NotSupported, UpstreamError
from devsynthd.wire.objects import Usage
from tests.support.upstream_replies import infill_end, infill_piece, piece, text_piece, usage


def _answer() -> Answer:
    return Answer(address="http://127.0.0.1:8080/v1")


def _read(*events: object) -> tuple[list[Delta], Answer]:
    answer = _answer()
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    return answer.feed(stream), answer


def test_a_text_completion_is_the_texts_of_its_choices() -> None:
    deltas, answer = _read(
        text_piece(""), text_piece(" to"), text_piece(" be", finish_reason="length"), usage()
    )

    assert deltas == [Delta(" to"), Delta(" be")]
    assert answer.ending() == Ending(model="m", finish_reason="length", usage=Usage(3, 2, 5))


def test_a_whole_text_completion_is_one_delta() -> None:
    answer = _answer()

    assert answer.whole(json.dumps(text_piece("x", finish_reason="stop")).encode()) == [Delta("x")]
    assert answer.ending().finish_reason == "stop"


@pytest.mark.parametrize("index", [None, 0, 0.0])
def test_the_first_choice_is_the_answer(index: int | None) -> None:
    deltas, answer = _read(
        text_piece("another", index=1, finish_reason="length"), text_piece("x", index=index)
    )

    assert deltas == [Delta("x")]
    assert not answer.finished


def test_further_choices_of_a_whole_answer_are_left() -> None:
    message = {"role": "assistant", "content": "x"}
    choices = [
        {"index": 1, "message": {**message, "content": "y"}, "finish_reason": "length"},
        {"index": 0, "message": message, "finish_reason": "stop"},
    ]
    answer = _answer()

    assert answer.whole(json.dumps({"choices": choices}).encode()) == [Delta("x")]
    assert answer.ending().finish_reason == "stop"


def test_other_choices_alone_are_no_answer() -> None:
    _, answer = _read({**piece("y"), "choices": [{"index": 2, "delta": {"content": "y"}}]})

    assert not answer.started


@pytest.mark.parametrize(
    ("stop_type", "finish_reason"),
    [("eos", "stop"), ("word", "stop"), ("none", "stop"), ("limit", "length"), (None, "stop")],
)
def test_what_fills_a_gap_ends_without_a_word_of_it(stop_type: str, finish_reason: str) -> None:
    deltas, answer = _read(infill_piece("x"), infill_piece(" + y"), infill_end(stop_type))

    assert deltas == [Delta("x"), Delta(" + y")]
    assert answer.done
    assert answer.ending() == Ending(model="m", finish_reason=finish_reason, usage=Usage(3, 2, 5))


def test_a_gap_is_not_filled_before_its_last_event() -> None:
    _, answer = _read(infill_piece("x"))

    assert answer.started
    with pytest.raises(UpstreamError, match="cut off"):
        answer.ending()


def test_nothing_may_belong_into_a_gap() -> None:
    deltas, answer = _read(infill_end(predicted=1))

    assert deltas == []
    assert answer.ending().usage == Usage(3, 1, 4)


def test_a_gap_that_is_filled_at_once() -> None:
    answer = _answer()
    body = {**infill_end(), "content": "x + y"}

    assert answer.whole(json.dumps(body).encode()) == [Delta("x + y")]
    assert answer.ending().finish_reason == "stop"


def test_half_a_surrogate_pair_in_a_gap_is_replaced() -> None:
    answer = _answer()
    stream = b'data: {"content":"a\\ud83d","stop":false,"tokens_predicted":"?"}\n\n'

    assert answer.feed(stream) == [Delta("a\ufffd")]


def test_a_gap_that_the_model_cannot_fill() -> None:
    error = {
        "code": 501,
        "message": "Infill is not supported by this model: prefix token is missing. ",
        "type": "not_supported_error",
    }
    _, answer = _read({"error": error})

    assert isinstance(answer.failure, NotSupported)
    assert "prefix token is missing" in str(answer.failure)


@pytest.mark.parametrize("name", [b"", b"event: error\n"])
@pytest.mark.parametrize(
    "error", ["Model unloaded.", {"message": "Model reloaded.", "type": "invalid_request_error"}]
)
def test_a_model_that_goes_away_before_the_first_delta(name: bytes, error: object) -> None:
    answer = _answer()
    deltas = answer.feed(name + b"data: %b\n\n" % json.dumps({"error": error}).encode())

    assert deltas == []
    assert not answer.started
    assert isinstance(answer.failure, ModelGone)
