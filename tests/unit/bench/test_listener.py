"""Whether the benchmark notices that a stream is wrong."""

import msgspec
import pytest

from devsynthd.wire.objects import Timing
from devsynthd.wire.replies import Chunk, Progress, ReceivedReply, ReceivedResult
from devsynthd.wire.results import Completion
from tests.bench.crowd import Listener
from tests.bench.stamps import Stamper

MS = 1_000_000
STAMPER = Stamper()
TEXTS = [STAMPER.token(1 * MS), STAMPER.token(2 * MS) + STAMPER.token(3 * MS), STAMPER.seal()]


def chunks(texts: list[str]) -> list[ReceivedReply]:
    return [Chunk(id=1, seq=seq, text=text) for seq, text in enumerate(texts)]


def result(text: str = "".join(TEXTS)) -> ReceivedResult:
    completion = Completion(
        model="m",
        text=text,
        reasoning=None,
        tool_calls=(),
        finish_reason="stop",
        usage=None,
        timing=Timing(queued_s=0, waiting_s=0, streaming_s=0, total_s=0, tokens_per_s=None),
        fallback=False,
        warnings=(),
    )
    return ReceivedResult(id=1, result=msgspec.Raw(msgspec.msgpack.encode(completion)))


def heard(replies: list[ReceivedReply]) -> Listener:
    listener = Listener()
    for number, reply in enumerate(replies, start=1):
        listener.take(reply, number * 10 * MS)
    return listener


def test_a_right_stream_tells_how_late_each_token_was() -> None:
    listener = heard([*chunks(TEXTS), result()])

    assert listener.is_right
    assert listener.delays_ms == [9.0, 18.0, 17.0]


def test_a_stream_that_goes_on_is_neither() -> None:
    assert heard(chunks(TEXTS)).is_right is None


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([*chunks(TEXTS[:2]), result()], id="a chunk is missing"),
        pytest.param([*chunks(TEXTS)[1:], result()], id="it begins with the second"),
        pytest.param(
            [*(Chunk(id=1, seq=0, text=text) for text in TEXTS), result()],
            id="its chunks do not count",
        ),
        pytest.param([*chunks(TEXTS), result("x")], id="its whole text is another"),
        pytest.param([*chunks(TEXTS[1:]), result("".join(TEXTS[1:]))], id="the seal is of another"),
        pytest.param([*chunks(TEXTS), result(), result()], id="it ends twice"),
        pytest.param(
            [Progress(id=1, state="queued", position=1, fraction=None, request=1)],
            id="something that it did not ask for",
        ),
    ],
)
def test_a_wrong_stream_is_noticed(replies: list[ReceivedReply]) -> None:
    assert heard(replies).is_right is False
