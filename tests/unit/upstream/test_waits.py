import json

import pytest

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.waits import AFTER_DONE_S, AFTER_FINISH_S, Waits

TIMEOUTS = Timeouts(connect_s=1, first_token_s=300, idle_s=120)


class Told:
    """An answer that is fed, and how long it may take then."""

    def __init__(self, timeouts: Timeouts = TIMEOUTS) -> None:
        self.now_s = 0.0
        self._answer = Answer(address="there")
        self.waits = Waits(self._answer, timeouts, lambda: self.now_s)

    def left_s(self, text: str = "", finish_reason: str | None = None, *, after_s: float) -> float:
        self.now_s += after_s
        choice = {"delta": {"content": text}, "finish_reason": finish_reason}
        event = json.dumps({"choices": [choice]})
        self.waits.came(adds=bool(self._answer.feed(f"data: {event}\n\n".encode())))
        return self.waits.left_s()

    def done(self) -> float:
        self._answer.feed(b"data: [DONE]\n\n")
        self.waits.came(adds=False)
        return self.waits.left_s()


def test_the_first_token_has_one_time_whatever_else_comes() -> None:
    told = Told()

    assert told.waits.left_s() == 300
    assert told.left_s(after_s=100) == 200
    assert told.left_s(after_s=250) == -50


def test_each_token_and_each_sign_of_life_gives_the_next_its_time() -> None:
    told = Told()

    assert told.left_s("a", after_s=200) == 120
    assert told.left_s("b", after_s=100) == 120
    assert told.left_s(after_s=100) == 120


def test_the_end_has_one_time_that_only_another_token_renews() -> None:
    told = Told()
    told.left_s("a", after_s=1)

    assert told.left_s(finish_reason="stop", after_s=1) == AFTER_FINISH_S
    assert told.left_s(after_s=1) == AFTER_FINISH_S - 1
    assert told.left_s("b", "stop", after_s=1) == AFTER_FINISH_S
    assert told.done() == pytest.approx(AFTER_DONE_S)


def test_no_end_takes_longer_than_any_other_silence() -> None:
    told = Told(Timeouts(connect_s=1, first_token_s=300, idle_s=2))

    assert told.left_s("a", "stop", after_s=1) == 2


def test_a_pause_gives_all_but_the_first_token_their_time_anew() -> None:
    told = Told()
    told.left_s("a", after_s=1)
    told.now_s += 1000
    told.waits.resumed()
    assert told.waits.left_s() == 120

    told.left_s(finish_reason="stop", after_s=1)
    told.now_s += 1000
    told.waits.resumed()
    assert told.waits.left_s() == AFTER_FINISH_S
