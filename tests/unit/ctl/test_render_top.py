"""The screen of ``top``, for every size of a terminal, and what it remembers of events."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, structs
from rich.cells import cell_len

from devsynthctl.news import News
from devsynthctl.render.top import lines
from devsynthctl.watching.observed import KEPT_MISHAPS, Mishap, Observed, with_news
from devsynthd.wire.objects import Failure
from devsynthd.wire.replies import Event
from devsynthd.wire.requests import Topic
from devsynthd.wire.results import StatusReport
from tests.support.replies import SOURCE, STATUS, model, models

(WAITS,) = STATUS["requests"]
FAILURE = {"code": "upstream_error", "message": "no\nway"}
FAILED = WAITS | {"state": "failed", "error": FAILURE}
MISHAP = Mishap(0.0, "upstream", Failure("upstream_error", "no way"))
NAMES = st.text(st.sampled_from("ab/-é日🙂\x1b\n\t"), max_size=60)


def observed(mishaps: int = 0, requests: int = 0, **changes: Any) -> Observed:  # noqa: ANN401 - any fields
    told = STATUS | {"requests": [WAITS | {"request": n} for n in range(requests)]} | changes
    return Observed(Raw(), msgspec.convert(told, StatusReport), mishaps=(MISHAP,) * mishaps)


def shown(seen: Observed, width: int = 80, height: int = 24) -> list[str]:
    return [line.text for line in lines(seen, width, height)]


@given(
    st.integers(1, 130),
    st.integers(1, 50),
    st.integers(0, KEPT_MISHAPS),
    st.lists(NAMES, max_size=30),
    st.booleans(),
)
def test_it_always_fits(
    width: int,
    height: int,
    mishaps: int,
    names: list[str],
    is_gone: bool,  # noqa: FBT001 - hypothesis passes it so
) -> None:
    requests = [
        WAITS | {"request": n, "model": each, "client": each} for n, each in enumerate(names)
    ]
    seen = observed(mishaps, source=SOURCE | {"error": FAILURE})
    report = msgspec.convert(STATUS | {"requests": requests}, StatusReport)
    gone = "went\x1b away\n" * 9 if is_gone else None
    seen = structs.replace(seen, report=report, loaded=tuple(names), gone=gone)
    found = shown(seen, width, height)
    assert len(found) == height
    assert all(cell_len(line) <= width for line in found)
    assert not any(each in line for line in found for each in "\x1b\n\t")


def test_it_ends_with_what_can_be_pressed() -> None:
    assert shown(observed(5, 50))[-1] == "q: leave"


def test_requests_without_room_are_counted() -> None:
    found = shown(observed(requests=50))
    # 24 lines, of which are 5 the head, 3 blank or of keys, the header, and this one.
    assert found[-2] == "and 35 more: devsynthctl ps"
    assert shown(observed(requests=16))[-2].startswith("15")


def test_mishaps_keep_a_third_of_the_room() -> None:
    found = shown(observed(5, 50))
    assert sum("no way" in line for line in found) >= 3
    assert "and 40 more: devsynthctl ps" in found


def test_mishaps_have_what_requests_leave() -> None:
    assert sum("no way" in line for line in shown(observed(5, 3))) == 5


def test_without_a_daemon_there_are_no_requests() -> None:
    seen = structs.replace(observed(requests=2), gone="it went away")
    first, *rest = shown(seen)
    assert first == "no daemon: it went away; waiting until it is back"
    assert "nothing runs" in rest


def test_a_config_file_that_is_not_valid_is_told() -> None:
    config = STATUS["config"] | {"valid": False, "error": "line 3"}
    assert "config    not valid: line 3" in shown(observed(config=config))


# What it remembers -------------------------------------------------------------------------


def news(topic: Topic, data: object, *, snapshot: bool = False) -> News:
    raw = Raw(msgspec.msgpack.encode(data))
    return News(Event(id=1, topic=topic, time=5.0, snapshot=snapshot, missed=0, data=raw))


def test_it_knows_what_is_loaded() -> None:
    listing = models(model("a", loaded=True), model("b"), model("c", loaded=True))
    assert with_news(observed(), news("models", listing, snapshot=True)).loaded == ("a", "c")


@pytest.mark.parametrize(
    ("topic", "data", "whats"),
    [
        ("upstream", SOURCE, []),
        ("upstream", SOURCE | {"error": FAILURE}, ["upstream"]),
        ("requests", {"requests": [WAITS]}, []),
        ("requests", {"requests": [FAILED]}, ["#7 generate qwen/small"]),
        ("config", {"config_generation": 1, "changed": [], "valid": True, "error": None}, []),
    ],
)
def test_it_keeps_what_has_failed(topic: Topic, data: object, whats: list[str]) -> None:
    after = with_news(observed(), news(topic, data))
    assert [each.what for each in after.mishaps] == whats
    assert all(each.time == 5.0 for each in after.mishaps)
    # A snapshot tells how it is, not what has happened.
    assert with_news(observed(), news(topic, data, snapshot=True)).mishaps == ()


def test_it_keeps_the_last_ones_only() -> None:
    seen = observed()
    for _ in range(KEPT_MISHAPS + 3):
        seen = with_news(seen, news("upstream", SOURCE | {"error": FAILURE}))
    assert len(seen.mishaps) == KEPT_MISHAPS


# Small terminals ---------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(60, 8), (20, 5), (80, 4)])
def test_a_low_terminal_shows_a_request_and_counts_the_others(width: int, height: int) -> None:
    found = shown(observed(requests=4), width, height)
    header = next(n for n, line in enumerate(found) if line.startswith("request"))
    assert found[header + 1].startswith("0 ")
    assert found[header + 2].startswith("and 3 more")


def test_what_gives_way_first_tells_least() -> None:
    first, *rest = shown(observed(requests=4), 60, 8)
    assert first.startswith("devsynthd 9.8.7")
    assert [line.split()[0] for line in rest] == [
        "upstream",
        "model",
        "queue",
        "request",
        "0",
        "and",
        "q:",
    ]


@pytest.mark.parametrize(
    ("room", "told"),
    [(1, ["4 requests: devsynthctl ps"]), (2, ["0 ", "and 3 more"])],
)
def test_where_there_is_hardly_any_room_requests_are_counted(room: int, told: list[str]) -> None:
    found = shown(observed(requests=4), height=1 + room)[1:]
    assert [line[: len(each)] for line, each in zip(found, told, strict=True)] == told


@pytest.mark.parametrize(
    ("width", "told"),
    [
        (60, "queue     1 running (at most 4), 2 waiting"),
        (40, "queue     1 running, 2 waiting"),
        (30, "queue     1 running, 2 waiting"),
        (20, "1 running, 2 waiting"),
        (15, "1 run, 2 wait"),
    ],
)
def test_the_counts_of_the_queue_are_not_cut(width: int, told: str) -> None:
    assert told in shown(observed(), width)


def test_mishaps_have_two_lines_where_there_is_room_the_newest_first() -> None:
    long = Mishap(0.0, "upstream", Failure("upstream_error", " ".join(["word"] * 40)))
    seen = structs.replace(observed(), mishaps=(long,) * 5)
    found = shown(seen)
    begun = found.index("last errors") + 1
    assert [line.startswith(" ") for line in found[begun : begun + 10]] == [False, True] * 5
    # Eight lines of room, of which is one of the heading, and one empty.
    busy = shown(structs.replace(observed(requests=7), mishaps=(long,) * 5))
    begun = busy.index("last errors") + 1
    assert [line.startswith(" ") for line in busy[begun:-1]] == [False, True, False, True] + [
        False
    ] * 3
