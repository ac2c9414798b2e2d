"""One request is answered once, whatever its answer is."""

import logging

import msgspec
import pytest

from devsynthd.service.call import Call, Envelope, Frames
from devsynthd.wire.codec import Encoding
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Ping


class Asker:
    """A client that keeps what it is sent."""

    uid: int | None = None
    pid: int | None = None
    is_req = False
    is_own = False
    writable = True

    def __init__(self) -> None:
        self.sent: list[Frames] = []

    def send(self, frames: Frames) -> None:
        self.sent.append(frames)


@pytest.mark.parametrize("encoding", Encoding)
def test_an_error_that_cannot_be_told_is_answered_all_the_same(
    encoding: Encoding, caplog: pytest.LogCaptureFixture
) -> None:
    asker = Asker()
    call = Call(Envelope(asker, encoding, delimiter=False), Ping(id=1), 1, 1)

    with caplog.at_level(logging.ERROR):
        call.fail(ConfigInvalid("no text: \udcff"))

    ((body,),) = asker.sent
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode
    assert decode(body)["error"]["code"] == "internal"
    assert "\\udcff" in caplog.text
