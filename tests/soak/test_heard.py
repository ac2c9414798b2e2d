"""What a reader of events takes for a breach."""

from typing import Any

import msgspec
import pytest

from devsynthctl.news import News
from devsynthd.wire.replies import Event
from devsynthd.wire.requests import Topic
from tests.soak.subscriber import Heard


def news(topic: Topic, data: object, *, snapshot: bool = False, missed: int = 0) -> News:
    raw = msgspec.Raw(msgspec.msgpack.encode(data))
    return News(Event(id=1, topic=topic, time=0.0, snapshot=snapshot, missed=missed, data=raw))


def requests(*changes: tuple[int, str], **marks: Any) -> News:  # noqa: ANN401 - as of `news`
    empty = dict.fromkeys(("client", "pid", "model", "position", "timing", "error"))
    found = [
        {"request": number, "id": number, "op": "generate", "state": state, **empty}
        for number, state in changes
    ]
    return news("requests", {"requests": found}, **marks)


def config(generation: int, **marks: Any) -> News:  # noqa: ANN401
    data = {"config_generation": generation, "changed": [], "valid": True, "error": None}
    return news("config", data, **marks)


def test_an_orderly_course_is_no_breach() -> None:
    heard = Heard()
    course = [
        requests((1, "streaming"), snapshot=True),
        requests((3, "queued")),
        requests((2, "queued")),
        requests((1, "done")),
        requests((2, "cancelled")),
        requests((3, "waiting"), snapshot=True, missed=4),
        requests((3, "failed")),
        config(5, snapshot=True),
        config(6),
    ]

    assert [heard.take(each) for each in course] == [[]] * len(course)
    assert heard.left() == []


@pytest.mark.parametrize(
    ("course", "problem"),
    [
        ([requests((1, "queued"))], "comes first"),
        ([requests(snapshot=True), requests(snapshot=True)], "comes later"),
        ([requests(snapshot=True), requests(missed=2)], "comes later"),
        ([config(5, snapshot=True), config(4)], "config 4 comes after 5"),
        (
            [requests(snapshot=True), requests((1, "done")), requests((1, "queued"))],
            "request 1 is queued after its end",
        ),
        (
            [requests(snapshot=True), requests((1, "done")), requests((1, "done"))],
            "request 1 is done after its end",
        ),
    ],
)
def test_what_is_out_of_order_is_noticed(course: list[News], problem: str) -> None:
    heard = Heard()
    *before, (last,) = [heard.take(each) for each in course]

    assert before == [[]] * len(before)
    assert problem in last


def test_an_end_that_is_not_told_is_missed() -> None:
    heard = Heard()
    heard.take(requests((1, "streaming"), snapshot=True))

    assert heard.left() == ["request 1 is streaming"]
