"""What a list has in common with the one before is not built again."""

from typing import Any

import pytest
from msgspec import Raw, msgpack

from devsynthctl.errors import BadReply
from devsynthctl.listed import ListReader
from devsynthd.wire.results import Models
from tests.support.replies import models

ONE = {"id": "a", "name": "A", "loaded": True, "instances": [{"id": "a", "context_length": 4096}]}
OTHER = {"id": "b", "name": "B", "a field": "of a later version"}


def told(*entries: dict[str, Any], **fields: object) -> Raw:
    """Return a result of ``list`` as it comes."""
    return Raw(msgpack.encode(models(*entries, **fields)))


def test_a_list_is_what_the_daemon_tells() -> None:
    reader = ListReader()
    for raw in (told(ONE), told(ONE, OTHER), told(), told(OTHER), told(ONE)):
        assert reader.read(raw) == msgpack.decode(raw, type=Models)


def test_models_that_are_the_same_are_not_built_again() -> None:
    reader = ListReader()
    first = reader.read(told(ONE, OTHER, generation=1))
    second = reader.read(told(ONE, OTHER, generation=2))

    assert (first.generation, second.generation) == (1, 2)
    assert second.models is first.models
    assert reader.read(told(ONE)).models is not first.models


@pytest.mark.parametrize(
    "raw", [told({"id": "a"}), told({**ONE, "loaded": "yes"}), told(generation="x"), Raw(b"\x90")]
)
def test_what_is_no_list_is_refused_each_time(raw: Raw) -> None:
    reader = ListReader()
    reader.read(told(ONE))
    for _ in range(2):
        with pytest.raises(BadReply, match="not in the protocol"):
            reader.read(raw)
    assert reader.read(told(ONE)).models[0].id == "a"
