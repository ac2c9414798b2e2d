"""Whether the model that answered is the one that was asked."""

import pytest

from devsynthd.service.generation import same_model


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("m", "m", True),
        ("m", "m:2", True),
        ("m:2", "m:2", True),
        ("m", "M", False),
        ("m", "m:latest", False),
        ("m", "other", False),
    ],
)
def test_same_model(asked: str, answered: str, same: bool) -> None:  # noqa: FBT001 - a column
    assert same_model(asked, answered) is same
