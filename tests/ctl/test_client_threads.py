"""One client, many threads: each gets its own answers, and any may cancel or close."""

import gc
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from devsynthctl import Client, ConnectionLost, NoAnswer
from devsynthd.wire.errors import Cancelled, Forbidden
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, models
from tests.support.upstream_replies import silence_after, tokens
from tests.support.upstream_server import UpstreamServer

THREADS = 12


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer(["a", "b"]) as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[RunningDaemon]:
    with start_daemon(short_dir, upstream, daemon_max_concurrency=THREADS) as daemon:
        yield daemon


def test_every_thread_gets_its_own_answers(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    rounds = 8
    upstream.script.extend([tokens(*"abcdefgh")] * (2 * rounds * THREADS))
    client = daemon.client()

    def ask(number: int) -> None:
        for turn in range(rounds):
            assert client.generate(f"{number} {turn}").text == "abcdefgh"
            assert [model.id for model in client.list().models] == ["a", "b"]
            assert "".join(chunk.text for chunk in client.stream("x")) == "abcdefgh"

    with ThreadPoolExecutor(THREADS) as threads:
        for asked in [threads.submit(ask, number) for number in range(THREADS)]:
            asked.result()

    assert client.status().totals.generations == 2 * rounds * THREADS


def test_a_thread_that_waits_keeps_no_other_from_asking(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("one"))
    client = daemon.client()
    stream = client.stream("x")
    assert next(stream).text == "one"

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(next, stream)
        for _ in range(20):
            assert client.ping().protocol == 1
        stream.cancel()
        with pytest.raises(Cancelled) as told:
            waiting.result()

    assert told.value.details["text"] == "one"
    upstream.wait_disconnected()


def test_another_thread_closes_the_client(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    upstream.script.append(silence_after("one"))
    client = daemon.client()
    stream = client.stream("x")
    assert next(stream).text == "one"

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(next, stream)
        client.close()
        with pytest.raises(ConnectionLost) as told:
            waiting.result()

    assert "closed" in str(told.value)
    assert told.value.details["text"] == "one"
    upstream.wait_disconnected()
    assert client.ping().protocol == 1


def test_another_thread_closes_the_stream(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    upstream.script.append(silence_after("one"))
    client = daemon.client()
    stream = client.stream("x")
    assert next(stream).text == "one"

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(list, stream)
        stream.close()
        assert waiting.result() == []

    upstream.wait_disconnected()
    assert client.ping().protocol == 1


def test_all_who_wait_learn_that_the_daemon_went_away(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(THREADS):
            daemon.receive()
        daemon.hang_up()

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        asked = [threads.submit(client.generate, "x") for _ in range(THREADS)]
        lost = [each.exception() for each in asked]

    assert all(isinstance(each, ConnectionLost) for each in lost)


def test_a_client_that_was_lost_connects_once_for_all_threads(socket_path: Path) -> None:
    """Requests of many threads meet a daemon that has just come back."""
    together = threading.Barrier(THREADS)

    def ask(client: Client) -> int:
        together.wait()
        return client.list().generation

    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"ping": PONG})):
        client = Client(socket_path)
        client.ping()
    answers = {"list": models(generation=7)}
    with (
        FakeDaemon(socket_path, lambda daemon: daemon.serve(answers)),
        client,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        asked = [threads.submit(ask, client) for _ in range(THREADS)]
        assert [each.result() for each in asked] == [7] * THREADS


def test_a_wait_that_nobody_answers_ends_beside_others(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("one"))
    client = daemon.client()
    with client.stream("x") as stream, ThreadPoolExecutor(1) as threads:
        next(stream)
        waiting = threads.submit(next, stream)
        generation = client.list().generation
        # Not the thread that reads, so its own deadline is what ends its wait.
        assert client.wait_for_change(generation, timeout=0.1).generation == generation
        stream.cancel()
        assert isinstance(waiting.exception(), Cancelled)


def test_what_nobody_can_be_named_for_ends_the_wait_of_all(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        first, _ = daemon.receive(), daemon.receive()
        refusal = {"type": "error", "id": None, "error": {"code": "forbidden", "message": "no"}}
        daemon.send_body(first["id"], msgspec.msgpack.encode(refusal))
        daemon.go.wait()

    with (
        FakeDaemon(socket_path, script) as daemon,
        Client(socket_path) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        asked = [threads.submit(client.generate, "x") for _ in range(2)]
        refused = [each.exception() for each in asked]
        daemon.go.set()

    assert all(isinstance(each, Forbidden) for each in refused)


def test_who_connects_in_vain_holds_up_no_other_and_is_ended_by_close(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent, ThreadPoolExecutor(1) as threads:
        silent.bind(str(socket_path))
        silent.listen()
        client = Client(socket_path)
        patient = threads.submit(client.ping, timeout=60)
        accepted, _ = silent.accept()

        with accepted, pytest.raises(NoAnswer):
            client.ping(timeout=0.1)

        assert not patient.done()
        client.close()
        assert isinstance(patient.exception(), ConnectionLost)


def test_a_signals_handler_may_cancel_what_its_own_thread_reads(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("one"))
    stream = daemon.client().stream("x")
    assert next(stream).text == "one"
    before = signal.signal(signal.SIGALRM, lambda *_: stream.cancel())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Cancelled):
            next(stream)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_stream_may_be_dropped_while_its_thread_uses_the_socket(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    """The garbage collector comes at any time, also inside of the client."""
    client = daemon.client()
    before = gc.get_threshold()
    gc.set_threshold(1, 1, 1)
    try:
        for _ in range(30):
            upstream.script.append(silence_after("one"))
            circle: list[object] = [client.stream("x")]
            circle.append(circle)
            del circle
            assert client.ping().protocol == 1
    finally:
        gc.set_threshold(*before)
