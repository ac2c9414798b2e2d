"""What is said of an answer that succeeded."""

import pytest

from devsynthd.service.warnings import other_model, same_model


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


def test_who_answered_may_not_be_told() -> None:
    assert other_model("asked", None) == ()
