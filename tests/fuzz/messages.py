"""Messages to a daemon that runs: each gets one last reply, whatever is in it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from devsynthd.wire.codec import Encoding, Undecodable, decode_request, encoding_of, request_id
from devsynthd.wire.errors import ErrorCode, error_classes
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import Download, List, Request, RequestId, Shutdown, Subscribe
from tests.fuzz.daemons import Fuzzed, Reply, fuzzed
from tests.fuzz.requests import BODIES
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target
from tests.lmstudio.models import Model, model_named
from tests.lmstudio.studio import LMStudio

Message = list[bytes]

Ending = tuple[RequestId | None, bool, Encoding]
"""Whose last reply it is, whether it has a delimiter, and in which encoding it is."""

AT_ONCE = 4
WARM_BODIES = 1000
"""After so many it has what it needs: growth counts from there."""

_RETRYABLE = {code: cls.retryable for code, cls in error_classes().items()}

_MESSAGES: st.SearchStrategy[Message] = mostly(
    BODIES.map(lambda body: [body]),
    BODIES.map(lambda body: [b"", body]),
    st.lists(st.just(b"") | BODIES | st.binary(max_size=3), min_size=1, max_size=4),
)


class Conversation:
    """Sends messages to *daemon*, some at once, and holds its replies against what was promised."""

    def __init__(self, daemon: Fuzzed) -> None:
        self._daemon = daemon
        self._sent = 0

    def check(self, messages: Sequence[Message]) -> None:
        """Fail unless each of *messages* has one last reply, and no more than that."""
        try:
            self._hold(messages)
        except BaseException:
            self._daemon.reconnect()
            raise
        self._look_at_memory(len(messages))

    def _hold(self, messages: Sequence[Message]) -> None:
        expected: Counter[Ending] = Counter()
        endless: list[RequestId] = []
        asked: dict[RequestId | None, list[bool]] = {}
        for frames in messages:
            request, known_id = meant(frames)
            if isinstance(request, Shutdown):
                continue
            self._daemon.dealer.socket.send_multipart(frames)
            expected[known_id, len(frames) > 1 and not frames[0], encoding_of(frames[-1])] += 1
            asked.setdefault(known_id, []).append(request is not None)
            if is_endless(request):
                assert known_id is not None
                endless.append(known_id)
        for number, target in enumerate(endless):
            self._daemon.dealer.send(op="cancel", id=f"end of {number}", target=target)
            expected[f"end of {number}", False, Encoding.MSGPACK] += 1
        came, told = self._endings(expected.total())
        assert came == expected, {"too many": came - expected, "missing": expected - came}
        for known_id, are_good in asked.items():
            # The error of a bad request must not look like the end of a good one before it.
            assert are_good != [True, False] or told.get(known_id, [])[1:] != ["result"], known_id
        self._daemon.dealer.send(op="ping", id="the last")
        assert self._daemon.receive()[-1]["id"] == "the last"
        self._daemon.check_log()

    def _endings(self, count: int) -> tuple[Counter[Ending], dict[RequestId | None, list[str]]]:
        """Return *count* last replies, and the kinds of those to each id in their order."""
        endings: Counter[Ending] = Counter()
        told: dict[RequestId | None, list[str]] = {}
        texts: dict[Any, list[str]] = {}
        while endings.total() < count:
            frames, encoding, reply = self._daemon.receive()
            assert len(frames) == 1 or (len(frames) == 2 and not frames[0]), frames
            whose = reply["id"]
            match reply["type"]:
                case "chunk":
                    chunks = texts.setdefault(whose, [])
                    assert reply["seq"] == len(chunks), reply
                    chunks.append(reply.get("text", ""))
                    continue
                case "progress" | "event":
                    continue
                case "error":
                    check_error(reply["error"])
                    if whose is None:  # of a second request with the id of one that runs
                        whose = reply["error"]["details"].get("id")
                case "result":
                    if chunks := texts.pop(whose, []):
                        assert "".join(chunks) == reply["result"]["text"]
                case _:
                    raise AssertionError(reply)
            if reply["id"] is not None:
                texts.pop(whose, None)
                told.setdefault(whose, []).append(reply["type"])
            endings[whose, len(frames) > 1, encoding] += 1
        return endings, told

    def _look_at_memory(self, bodies: int) -> None:
        before, self._sent = self._sent, self._sent + bodies
        if before // WARM_BODIES < self._sent // WARM_BODIES:
            self._daemon.check_memory()


def meant(frames: Message) -> tuple[Request | None, RequestId | None]:
    """Return the request in *frames*, if it is one, and the id that its last reply is to have."""
    if len(frames) != 1 and (len(frames) != 2 or frames[0]):
        return None, None
    try:
        request = decode_request(frames[-1], encoding_of(frames[-1]))
    except Undecodable as exc:
        return None, exc.request_id
    return request, request_id(request)


def is_endless(request: Request | None) -> bool:
    """Return whether *request* may go on until it is cancelled."""
    if isinstance(request, List):
        return request.since is not None
    return isinstance(request, Subscribe | Download)


def check_error(error: Reply) -> None:
    """Fail unless *error* is told as every error must be, and is no fault of the daemon."""
    assert set(error) == {"code", "message", "hint", "retryable", "details"}
    assert error["code"] in set(ErrorCode) - {ErrorCode.INTERNAL}, error
    assert error["retryable"] == _RETRYABLE[error["code"]]
    assert error["message"]
    assert len(error["message"]) < MAX_BODY_BYTES // 1000, len(error["message"])


@contextmanager
def served(folder: Path) -> Iterator[Fuzzed]:
    """Run a daemon to be fuzzed, and the LM Studio that it asks."""
    models = [model_named("a"), model_named("b"), Model(key="vectors", kind="embedding")]
    with LMStudio("v1", models) as studio:
        environ = {"DEVSYNTH_LLM_PROVIDER": "lmstudio", "DEVSYNTH_LLM_API_BASE": studio.url}
        with fuzzed(folder, environ) as daemon:
            yield daemon


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    with served(folder) as daemon:
        yield Conversation(daemon).check
        assert daemon.ask(op="status", id="idle")["result"]["requests"] == []


MESSAGES = Target(
    "messages",
    st.lists(_MESSAGES, min_size=1, max_size=AT_ONCE),
    _opened,
    share=160,
    bodies=len,
)
