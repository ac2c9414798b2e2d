import sys

import pytest

from devsynthd.service.grown_text import GrownText


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
def test_it_is_all_that_was_added(count: int) -> None:
    text = GrownText()
    for number in range(count):
        text.add(f"{number} ")

    assert str(text) == "".join(f"{number} " for number in range(count))
    assert bool(text) == (count > 0)


def test_it_takes_hardly_more_memory_than_it_says() -> None:
    before = sys.getallocatedblocks()
    text = GrownText()
    for number in range(64_000):
        text.add(f"{number:05} ")

    assert sys.getallocatedblocks() - before < 3_000  # else two a piece, or one
    assert len(str(text)) == 6 * 64_000
