"""Many streams at once: is every byte right, how late do chunks come, what does it take?"""

import contextlib
import math
import time
from collections.abc import Iterator

import msgspec
import zmq
from msgspec import Struct, field

from devsynthd.wire.codec import decode_reply
from devsynthd.wire.replies import Chunk, ReceivedReply, ReceivedResult
from devsynthd.wire.results import Completion
from tests.bench.answers import SLOW, paced
from tests.bench.direct import PROMPT
from tests.bench.figures import Budget, Finding, p50, p99
from tests.bench.rig import Rig
from tests.bench.stamps import is_whole, stamps_in
from tests.soak.watch import cpu_s

WRONG = Budget("200 streams, wrong ones", "streams", 0)
DELAY = Budget("200 streams, p99 added a chunk", "ms", 20)
CPU = Budget("200 streams, CPU", "cores", 1)

CLIENTS, EACH = 20, 10
TOKENS = 250
LIMIT_S = 60.0
APART_S = 0.001  # so that the upstream does not send all of them in the same moment


class Listener(Struct):
    """One stream as its client sees it; *is_right* is null until it has ended."""

    texts: list[str] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    is_right: bool | None = None

    def take(self, reply: ReceivedReply, now_ns: int) -> None:
        """Take in what came at *now_ns*; the result settles whether all of it is right."""
        match reply:
            case _ if self.is_right is not None:
                self.is_right = False  # nothing comes after the end
            case Chunk(seq=seq, text=text) if seq == len(self.texts):
                self.texts.append(text)
                self.delays_ms += [(now_ns - sent_ns) / 1e6 for sent_ns in stamps_in(text)]
            case ReceivedResult(result=raw):
                text = "".join(self.texts)
                whole = msgspec.msgpack.decode(raw, type=Completion).text
                self.is_right = whole == text and is_whole(text)
            case _:
                self.is_right = False


def crowd(rig: Rig) -> list[Finding]:
    """Have a few clients read many streams, each of them as fast as people read."""
    rig.client.config_set("daemon_max_concurrency", CLIENTS * EACH)
    with _dealers(rig.daemon.endpoint) as dealers:
        start, before_s = time.monotonic(), cpu_s(rig.daemon.pid)
        listeners = _converse(dealers)
        cores = (cpu_s(rig.daemon.pid) - before_s) / (time.monotonic() - start)
    rig.client.config_set("daemon_max_concurrency", None)
    delays = [delay for each in listeners for delay in each.delays_ms] or [math.inf]
    note = f"p50 {p50(delays):.2f} ms, worst {max(delays):.0f} ms"
    return [
        Finding(budget=WRONG, figure=sum(not each.is_right for each in listeners)),
        Finding(budget=DELAY, figure=p99(delays), note=note),
        Finding(budget=CPU, figure=cores, note=f"{CLIENTS} clients, {SLOW} tokens/s a stream"),
    ]


@contextlib.contextmanager
def _dealers(endpoint: str) -> Iterator[list["zmq.Socket[bytes]"]]:
    context = zmq.Context()
    dealers = [context.socket(zmq.DEALER) for _ in range(CLIENTS)]
    for dealer in dealers:
        dealer.connect(endpoint)
    try:
        yield dealers
    finally:
        context.destroy(linger=0)


def _converse(dealers: list["zmq.Socket[bytes]"]) -> list[Listener]:
    """Begin all streams, one after the other, and read them to their end, at most for a while."""
    listeners = [Listener() for _ in range(CLIENTS * EACH)]
    poller, start = zmq.Poller(), time.monotonic()
    for dealer in dealers:
        poller.register(dealer, zmq.POLLIN)
    begun = ended = 0
    while ended < len(listeners) and time.monotonic() < start + LIMIT_S:
        while begun < min(len(listeners), (time.monotonic() - start) / APART_S):
            dealers[begun % len(dealers)].send(_question(begun))
            begun += 1
        for dealer, _ in poller.poll(1):
            for body in _bodies(dealer):
                now_ns, reply = time.monotonic_ns(), decode_reply(body)
                assert isinstance(reply.id, int), f"a reply to nobody: {reply}"
                listener = listeners[reply.id]
                went_on = listener.is_right is None
                listener.take(reply, now_ns)
                ended += went_on and listener.is_right is not None
    return listeners


def _question(number: int) -> bytes:
    fields = {"op": "generate", "id": number, "prompt": PROMPT, "stream": True}
    return msgspec.msgpack.encode({**fields, "model": paced(SLOW), "max_tokens": TOKENS})


def _bodies(dealer: "zmq.Socket[bytes]") -> Iterator[bytes]:
    with contextlib.suppress(zmq.Again):
        while True:
            yield dealer.recv(zmq.NOBLOCK)
