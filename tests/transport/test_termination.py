"""That nobody waits without end for libzmq to end."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
import zmq

from devsynthd.transport.router import TERMINATION_LIMIT_S
from devsynthd.transport.termination import terminate
from tests.transport.listening import Recorder, routing


def test_a_context_without_sockets_ends_at_once() -> None:
    context = zmq.Context[zmq.Socket[bytes]]()
    assert terminate(context, 10)
    assert context.closed


def test_one_that_does_not_end_is_given_up() -> None:
    context = zmq.Context[zmq.Socket[bytes]]()
    before = threading.enumerate()
    with context.socket(zmq.DEALER):
        assert not terminate(context, 0.05)
        (waiting,) = set(threading.enumerate()) - set(before)
    waiting.join(10)
    assert context.closed


def test_a_router_closes_though_libzmq_does_not_end(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        with routing(Recorder(), short_dir / "s") as router, router.dial():
            started = time.monotonic()
            router.close()
            assert time.monotonic() - started < 2 * TERMINATION_LIMIT_S
        assert "libzmq has not ended" in caplog.text

    asyncio.run(scenario())
