"""A daemon that is stopped under its clients: none of them waits for ever."""

import asyncio
import json
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import AsyncClient, Client, NoAnswer
from tests.process.conftest import asks
from tests.process.piped import piped
from tests.support.daemon import daemon_process
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer


async def ask(endpoint: str) -> None:
    async with AsyncClient(endpoint) as client:
        await client.generate("hi")


@pytest.mark.timeout(60)  # it is given 15 s
def test_each_of_our_clients_gives_it_up(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.extend([silence()] * 3)
    with (
        daemon_process(short_dir, environ=asks(upstream)) as daemon,
        piped(daemon.environ) as pipe,
        Client(daemon.endpoint) as client,
        ThreadPoolExecutor(3) as threads,
    ):
        pipe.send("generate", 1, prompt="hi")
        asked: list[Future[Any]] = [
            threads.submit(client.generate, "hi"),
            threads.submit(next, client.subscribe(["log"])),
            threads.submit(asyncio.run, ask(daemon.endpoint)),
        ]
        upstream.wait_generation(3)
        daemon.signal(signal.SIGSTOP)
        try:
            given_up = [each.exception(timeout=40) for each in asked]
            error = pipe.error(1)
        finally:
            daemon.signal(signal.SIGCONT)

    assert [type(each) for each in given_up] == [NoAnswer] * 3
    assert (error["code"], error["retryable"]) == ("no_answer", True)


def test_doctor_has_one_that_is_suspended_go_on(short_dir: Path, upstream: UpstreamServer) -> None:
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.signal(signal.SIGSTOP)
        try:
            outcome = daemon.ctl("--timeout", "0.5", "doctor", "--json")
        finally:
            daemon.signal(signal.SIGCONT)

    checks = {each["name"]: each for each in json.loads(outcome.stdout)["checks"]}
    assert "takes connections, but does not answer" in checks["daemon"]["message"]
    assert checks["daemon"]["remedy"] == f"kill -CONT {daemon.process.pid}"
