"""What the tests of this folder ask a daemon, and how they wait for its answers."""

import time
from collections.abc import Callable
from typing import Any

from tests.support.daemon import Dealer
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import Reply, status

RARELY_S = 3600.0
"""A poll interval that is over after the test."""

SOON_S = 0.2
"""Within this a cancelled generation's connection to the upstream must be closed."""

LIMIT_S = 10.0
"""Nothing that a test waits for takes this long."""

AnyDict = dict[str, Any]


def result(reply: AnyDict) -> AnyDict:
    """Return the result in *reply*, which is one."""
    assert reply["type"] == "result", reply
    value: AnyDict = reply["result"]
    return value


def error(reply: AnyDict) -> AnyDict:
    """Return the error in *reply*, which is one, and told as every error must be."""
    assert reply["type"] == "error", reply
    value: AnyDict = reply["error"]
    assert set(value) == {"code", "message", "hint", "retryable", "details"}
    assert value["message"]
    return value


def until_answered(dealer: Dealer, *ids: int | str | None) -> list[AnyDict]:
    """Return all replies, in order, up to the last of the answers to the requests *ids*."""
    missing = set(ids)
    replies = []
    while missing:
        reply = dealer.receive()
        replies.append(reply)
        if reply["type"] in {"result", "error"}:
            missing.discard(reply["id"])
    return replies


def told(chunks: list[AnyDict]) -> str:
    """Return the text of *chunks*, which are numbered without a gap."""
    assert [chunk["seq"] for chunk in chunks] == list(range(len(chunks)))
    assert all(chunk["type"] == "chunk" for chunk in chunks)
    return "".join(chunk.get("text", "") for chunk in chunks)


def wait_status(dealer: Dealer, holds: Callable[[AnyDict], bool]) -> AnyDict:
    """Return the first status of which *holds* is true."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        report = result(dealer.ask(op="status", id="status"))
        if holds(report):
            return report
        assert time.monotonic() < deadline, report


def wait_queue(dealer: Dealer, *, running: int, waiting: int) -> AnyDict:
    """Return the status once so many generations run and wait."""
    return wait_status(
        dealer,
        lambda report: (
            (report["queue"]["running"], report["queue"]["waiting"]) == (running, waiting)
        ),
    )


def listing(*entries: AnyDict) -> Reply:
    """List these models."""
    return status(200, {"object": "list", "data": [{"object": "model"} | each for each in entries]})


def held(gate: Gate, reply: Reply) -> Reply:
    """Answer as *reply* does, but not before *gate* lets it."""

    async def answer(exchange: Exchange) -> None:
        await gate.pass_one()
        await reply(exchange)

    return answer
