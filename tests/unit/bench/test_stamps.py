"""Texts that tell when they were sent, and whether all of it has come."""

from collections.abc import Callable

import pytest

from tests.bench.stamps import Stamper, is_whole, stamps_in


def tokens() -> list[str]:
    stamper = Stamper()
    return [*map(stamper.token, (100, 200, 300)), stamper.seal()]


def test_any_run_of_tokens_tells_when_they_were_sent() -> None:
    all_of_them = tokens()

    assert stamps_in("".join(all_of_them)) == [100, 200, 300]
    assert stamps_in(all_of_them[1]) == [200]
    assert stamps_in(all_of_them[3]) == []
    assert stamps_in("") == []


def test_a_text_is_whole_as_it_was_sent() -> None:
    assert is_whole("".join(tokens()))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda each: each[1:], id="its start is missing"),
        pytest.param(lambda each: each[:3], id="its end is missing"),
        pytest.param(lambda each: [each[0], *each[2:]], id="a token is missing"),
        pytest.param(lambda each: [each[1], each[0], *each[2:]], id="two are exchanged"),
        pytest.param(lambda each: [each[0], *each], id="one has come twice"),
        pytest.param(lambda each: [*each, "x"], id="there is more"),
        pytest.param(lambda _: [], id="nothing"),
    ],
)
def test_anything_else_is_not(wrong: Callable[[list[str]], list[str]]) -> None:
    assert not is_whole("".join(wrong(tokens())))
