"""What is said of an answer that succeeded."""

from typing import cast

import pytest

from devsynthd.service.routing import Route
from devsynthd.service.warnings import other_model, same_model, warnings_of
from devsynthd.upstream.base import Ending, Upstream
from devsynthd.wire.objects import Usage

NOBODY = cast("Upstream", None)  # it is not asked


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("m", "m", True),
        ("m", "m:2", True),
        ("m:2", "m:2", True),
        ("m", "m@q4_k_m", True),
        ("m@q4_k_m", "m@q4_k_m", True),
        ("m", "m:2@q4_k_m", True),
        ("m", "M", False),
        ("m", "m:latest", False),
        ("m", "other", False),
        ("m@q4_k_m", "m@q8_0", False),
    ],
)
def test_same_model(asked: str, answered: str, same: bool) -> None:  # noqa: FBT001 - a column
    assert same_model(asked, answered) is same


def test_another_model_is_named_with_the_one_that_was_asked() -> None:
    (warning,) = other_model("asked", "answered")

    assert warning.code == "other_model"
    assert "answered" in warning.message
    assert "not asked" in warning.message


@pytest.mark.parametrize(
    ("max_tokens", "written", "said"),
    [
        (100, 100, "after 100 tokens: raise max_tokens"),
        (100, None, "after 100 tokens: raise max_tokens"),
        (100, 40, "after 40 tokens: the model's context is full"),
        (None, 40, "after 40 tokens: the model's context is full"),
        (None, None, "cut off: the model's context is full"),
    ],
)
def test_what_cut_an_answer_off_is_told(
    max_tokens: int | None, written: int | None, said: str
) -> None:
    usage = None if written is None else Usage(3, written, written + 3)
    ending = Ending(model="m", finish_reason="length", usage=usage)

    (warning,) = warnings_of(Route(NOBODY, "m"), ending, max_tokens)

    assert warning.code == "truncated"
    assert said in warning.message
    assert "llm_max_tokens" in warning.message


def test_who_answered_may_not_be_told() -> None:
    assert other_model("asked", None) == ()


def test_who_answered_is_told_without_its_control_characters() -> None:
    (warning,) = other_model("asked\n", "evil\x1b]0;title\x07\u202e" + "x" * 1000)

    assert warning.message.isprintable()
    assert len(warning.message) < 300
