"""What our clients read replies with: bytes are replies and results, or `BadReply` says why not."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from devsynthctl.call import read_result
from devsynthctl.errors import BadReply, error_from, info_of
from devsynthctl.gathered import Gathered
from devsynthctl.listed import ListReader
from devsynthctl.news import News
from devsynthctl.render.as_json import error_line, result_line
from devsynthd.wire.codec import DECODE_ERRORS, decode_reply
from devsynthd.wire.errors import Incomplete
from devsynthd.wire.replies import Chunk, Error, Event, ReceivedResult
from devsynthd.wire.results import RESULT_TYPES
from tests.fuzz.replies import ASKED, Asked
from tests.fuzz.target import Check, Target


def check(asked: Asked) -> None:
    """Fail if a body that answers an op is not read, or refused, as it must be."""
    op, bodies = asked
    gathered = Gathered()
    for body in bodies:
        try:
            reply = decode_reply(body)
        except DECODE_ERRORS:
            continue
        with suppress(BadReply, Incomplete):
            match reply:
                case ReceivedResult(result=raw):
                    read_result(raw, RESULT_TYPES.get(op, RESULT_TYPES["list"]))
                    ListReader().read(raw)
                    assert result_line(raw).count("\n") == 1
                case Event():
                    assert News(reply).data is not None
                case Error(error=info):
                    assert info_of(error_from(info)).code == info.code
                    assert error_line(info).count("\n") == 1
                case Chunk():
                    gathered.take(reply)
                case _:
                    msgspec.to_builtins(reply)


@contextmanager
def _opened(_: Path) -> Iterator[Check]:
    yield check


DECODERS = Target("decoders", ASKED, _opened, share=50)
