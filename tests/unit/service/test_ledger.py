"""Where the seconds went."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.service.ledger import Ledger
from devsynthd.wire.objects import Timing


def seconds(timing: Timing) -> tuple[float, float, float, float]:
    return (timing.queued_s, timing.waiting_s, timing.streaming_s, timing.total_s)


def test_each_second_is_in_its_place() -> None:
    ledger = Ledger(10)
    ledger.sent(13)
    ledger.heard(17)
    ledger.heard(18)
    ledger.heard(22)

    assert seconds(ledger.closed(99, tokens=10)) == (3, 4, 5, 12)
    assert ledger.closed(99, tokens=10).tokens_per_s == 2


@pytest.mark.parametrize(
    ("sent_at", "heard_at", "expected"),
    [
        (None, None, (10, 0, 0, 10)),
        (14, None, (4, 6, 0, 10)),
        (14, 15, (4, 1, 5, 10)),
    ],
)
def test_what_is_under_way_is_told_up_to_now(
    sent_at: float | None, heard_at: float | None, expected: tuple[float, ...]
) -> None:
    ledger = Ledger(10)
    if sent_at is not None:
        ledger.sent(sent_at)
    if heard_at is not None:
        ledger.heard(heard_at)

    assert seconds(ledger.timing(20)) == expected


def test_an_answer_without_a_word_ends_now() -> None:
    ledger = Ledger(0)
    ledger.sent(1)

    assert seconds(ledger.closed(5, tokens=None)) == (1, 4, 0, 5)


def test_what_was_sent_again_waits_from_then_on() -> None:
    ledger = Ledger(0)
    ledger.sent(1)
    ledger.sent(5)
    ledger.heard(6)

    assert seconds(ledger.closed(9, tokens=0)) == (5, 1, 0, 6)


def test_a_speed_needs_time_and_tokens() -> None:
    ledger = Ledger(0)
    ledger.sent(1)
    ledger.heard(2)

    assert ledger.closed(3, tokens=7).tokens_per_s is None


@given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4).map(sorted))
def test_the_parts_add_up(moments: list[float]) -> None:
    received_at, sent_at, first_at, last_at = moments
    ledger = Ledger(received_at)
    ledger.sent(sent_at)
    ledger.heard(first_at)
    ledger.heard(last_at)

    queued_s, waiting_s, streaming_s, total_s = seconds(ledger.closed(last_at, tokens=1))

    assert queued_s + waiting_s + streaming_s == pytest.approx(total_s, abs=1e-6)


def test_the_speed_of_a_stream_is_estimated_from_its_pieces() -> None:
    ledger = Ledger(0)
    ledger.sent(1)
    ledger.heard(2, pieces=3)
    assert ledger.timing(2.5).tokens_per_s is None  # what came first took no time
    ledger.heard(3, pieces=2)
    ledger.heard(4)

    assert ledger.timing(5).tokens_per_s == 1
    assert ledger.closed(9, tokens=None).tokens_per_s is None
    assert ledger.closed(9, tokens=8).tokens_per_s == 4


def test_an_answer_that_begins_anew_has_a_new_speed() -> None:
    ledger = Ledger(0)
    ledger.sent(1)
    ledger.heard(2)
    ledger.heard(3)
    ledger.returned()
    ledger.sent(4)
    ledger.heard(5)

    assert ledger.timing(6).tokens_per_s is None
