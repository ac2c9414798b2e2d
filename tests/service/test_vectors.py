"""What was recorded of older versions still holds: old clients find what they knew.

A failure here is a break of the protocol, not a vector that is out of date.
"""

from pathlib import Path

import msgspec
import pytest

from devsynthctl.call import read_result
from devsynthd.wire.codec import Encoding, decode_reply
from devsynthd.wire.events import NEWS_TYPES
from devsynthd.wire.replies import Event, ReceivedResult
from devsynthd.wire.results import RESULT_TYPES
from tests.vectors.repertoire import REPERTOIRE
from tests.vectors.replay import Replay
from tests.vectors.stage import set_up
from tests.vectors.vector import PLACE, UPSTREAM, names, read


def test_every_vector_has_a_scene_and_every_scene_a_vector() -> None:
    assert names() == sorted(REPERTOIRE)


@pytest.mark.parametrize("encoding", Encoding, ids=lambda encoding: encoding.value)
@pytest.mark.parametrize("name", names())
def test_daemon_answers_what_was_recorded(short_dir: Path, name: str, encoding: Encoding) -> None:
    with set_up(REPERTOIRE[name], short_dir) as stage:
        places = {UPSTREAM: stage.studio.url, PLACE: str(short_dir)}
        replay = Replay(stage.daemon.dealer(), read(name), encoding, places)
        REPERTOIRE[name].play(stage, replay)
        replay.assert_over()


@pytest.mark.parametrize("name", names())
def test_client_reads_what_was_recorded(name: str) -> None:
    ops: dict[object, str] = {}
    for message in read(name).messages:
        if message.sender == "client":
            ops.setdefault(message.value.get("id"), message.value["op"])
            continue
        reply = decode_reply(message.body(Encoding.MSGPACK))
        assert reply.id == message.value["id"]
        if isinstance(reply, ReceivedResult):
            assert reply.id is not None
            result = read_result(reply.result, RESULT_TYPES[ops[reply.id]])
            assert holds(message.value["result"], msgspec.to_builtins(result))
        elif isinstance(reply, Event):
            assert msgspec.msgpack.decode(reply.data, type=NEWS_TYPES[reply.topic])


def holds(told: object, read_as: object) -> bool:
    """Return whether all that was *told* is in *read_as*."""
    if isinstance(told, dict) and isinstance(read_as, dict):
        return all(key in read_as and holds(told[key], read_as[key]) for key in told)
    if isinstance(told, list) and isinstance(read_as, list | tuple):
        return len(told) == len(read_as) and all(map(holds, told, read_as))
    return told == read_as
