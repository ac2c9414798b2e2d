"""A real daemon on an upstream that wants it to choke: it says so, soon, and serves on meanwhile.

What each attack costs is looked at from outside: memory in ``/proc``, and how long others wait.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.upstream_attacks import (
    CHUNKED,
    JSON,
    STREAM,
    bomb,
    deep,
    encoded,
    endless,
    endless_parts,
    list_of,
    many_calls,
    renamed_call,
    said,
)
from tests.support.upstream_replies import Reply, flood, raw, status
from tests.support.upstream_server import UpstreamServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at memory in /proc")

MIB = 2**20
SOON_S = 12.0
SERVED_S = 3.0
"""So long may anybody else wait, also on a machine that is busy."""

HURRIED = {
    "llm_connect_timeout": "1",
    "llm_first_token_timeout": "2",
    "llm_idle_timeout": "1",
    "daemon_poll_interval": "3600",
}
LINE = b"HTTP/1.1 200 OK\r\n"


class Besieged:
    """A daemon, who attacks it, and who asks it something else meanwhile."""

    def __init__(self, daemon: DaemonProcess, upstream: UpstreamServer) -> None:
        self.daemon, self.upstream = daemon, upstream
        self.attacked, self.other = Dealer(daemon.endpoint), Dealer(daemon.endpoint)
        self._asked = 0

    def ask(self, **fields: Any) -> tuple[dict[str, Any], float]:  # noqa: ANN401 - any field
        """Return the reply, and how many MiB more than before the daemon had at most."""
        self._asked += 1
        proc = Path(f"/proc/{self.daemon.process.pid}")
        proc.joinpath("clear_refs").write_text("5")  # VmHWM counts anew
        before, started = self._kib("VmRSS"), time.monotonic()
        self.attacked.send(id=self._asked, **fields)
        while not self.attacked.socket.poll(10):
            asked_at = time.monotonic()
            self.other.ask(op="ping", id=self._asked)
            assert time.monotonic() - asked_at < SERVED_S, "others have to wait"
            assert time.monotonic() - started < SOON_S, "it has no end"
        return self.attacked.receive(), (self._kib("VmHWM") - before) / 1024

    def _kib(self, name: str) -> int:
        lines = Path(f"/proc/{self.daemon.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    folder = tmp_path_factory.mktemp("s")
    folder.chmod(0o700)
    with (
        UpstreamServer() as upstream,
        daemon_process(folder, environ=asks(upstream, **HURRIED)) as daemon,
    ):
        found = Besieged(daemon, upstream)
        with closing(found.attacked), closing(found.other):
            yield found
        assert "Traceback" not in daemon.log()


@pytest.fixture(autouse=True)
def at_peace(besieged: Besieged) -> Iterator[None]:
    """Check after each attack that the daemon is as good as before."""
    yield
    besieged.upstream.script.clear()
    besieged.upstream.models_reply = None
    answer, _ = besieged.ask(op="generate", prompt="x", model="m", timeout=10)
    assert answer["result"]["text"] == "Hello world"


def _x(name: str, reply: Reply, says: str, more_mib: float = 32) -> Any:  # noqa: ANN401 - pytest's
    return pytest.param(reply, says, more_mib, id=name)


ANSWERS = [
    _x("a line without an end", endless(STREAM, b"data: " + b"x" * 1000), "a line of more than"),
    _x("an event without an end", endless(STREAM, b"data:xx\n"), "an event of more than"),
    _x("a stream without an end", flood(), "more than 64 MiB in one answer", 288),
    _x("a stream of emojis", endless(STREAM, said("x" * 999 + "\U0001f642")), "characters in", 288),
    _x("comments without an end", endless(STREAM, b":\n"), "did not come within 2 s"),
    _x("trailers", endless(CHUNKED + b"0\r\n", b"X: x\r\n"), "the trailer of the body has no end"),
    _x(
        "extensions of chunks",
        endless(CHUNKED, b"1;" + b"x" * 4000 + b"\r\n\n\r\n"),
        "more than 64 MiB in one answer",
    ),
    _x("an immense chunk", endless(CHUNKED + b"f" * 99 + b"\r\n", b"data: x"), "a line of more"),
    _x("headers", endless(LINE, b"X: x\r\n"), "the head of the answer has no end"),
    _x("a stream in gzip", encoded(bomb(b"data:xx\n"), "gzip"), "an event of more than"),
    _x(
        "a whole answer in gzip",
        encoded(bomb(b"["), "gzip", content_type="application/json"),
        "more than 32 MiB in one answer",
        112,
    ),
    _x("an error in gzip", encoded(bomb(b" "), "gzip", code=500), "status 500"),
    _x("gzip in gzip", encoded(bomb(b"x", times=2), "gzip, gzip"), "'gzip, gzip'"),
    _x("tool calls", endless_parts(STREAM, many_calls), "more than 1024 tool calls"),
    _x("one call with many names", raw(STREAM, *map(renamed_call, range(4))), "cut off", 64),
    _x(
        "a whole answer of tiny things",
        status(200, b'{"choices":[{}' + b",{}" * (8 * MIB) + b"]}"),
        "more than 1048576 values in one answer",
        112,
    ),
    _x("a deep event", raw(STREAM, deep(b"data: ", b"\n\n")), "not JSON"),
    _x("a deep error", raw(STREAM, deep(b"event: error\ndata: ", b"\n\n")), "with an error"),
    _x(
        "an error that says little in many words",
        raw(STREAM, b'event: error\ndata: "' + b"model " * 170_000 + b'"\n\n'),
        "with an error: model model",
    ),
    _x("an answer that breaks off", raw(STREAM + said("x")), "cut off"),
]


@pytest.mark.parametrize(("reply", "says", "more_mib"), ANSWERS)
def test_an_answer_that_is_an_attack(
    besieged: Besieged, reply: Reply, says: str, more_mib: float
) -> None:
    besieged.upstream.script.append(reply)

    answer, more = besieged.ask(op="generate", prompt="x", model="m")

    assert says in answer["error"]["message"]
    assert answer["error"]["code"] in {"upstream_error", "upstream_timeout", "incomplete"}
    assert answer["error"]["hint"]
    assert more < more_mib


LISTS = [
    _x("10 GB", endless(JSON, b" "), "more than 16 MiB as its list of models", 48),
    _x("a million models", list_of(1_000_000), "values as its list of models", 48),
    _x("a hundred thousand models", list_of(100_000), "lists 100000 models: more than 20000", 80),
    _x("headers", endless(LINE, b"X: x\r\n"), "got more than 100 headers"),
    _x(
        "gzip",
        encoded(bomb(b"["), "gzip", content_type="application/json"),
        "more than 16 MiB as its list of models",
        48,
    ),
    _x("a deep list", status(200, deep(b'{"data":', b"}")), "not JSON"),
]


@pytest.mark.parametrize(("reply", "says", "more_mib"), LISTS)
def test_a_list_that_is_an_attack(
    besieged: Besieged, reply: Reply, says: str, more_mib: float
) -> None:
    besieged.ask(op="list", refresh=True)  # so that none is under way, which would do
    besieged.upstream.models_reply = reply

    answer, more = besieged.ask(op="list", refresh=True)

    source = answer["result"]["source"]
    assert says in source["error"]["message"]
    assert source["stale"] is True
    assert [model["id"] for model in answer["result"]["models"]] == ["m"]
    assert more < more_mib


def test_vectors_that_are_an_attack(besieged: Besieged) -> None:
    besieged.upstream.script.append(status(200, b'{"data":[1' + b",1" * (24 * MIB) + b"]}"))

    answer, more = besieged.ask(op="embed", input="x", model="m")

    assert "vectors that cannot be used" in answer["error"]["message"]
    assert more < 128
