"""Answers on asyncio while they come: read, left early, cancelled, cut off."""

import asyncio
from pathlib import Path

import pytest

from devsynthctl import AsyncClient, ConnectionLost, DevsynthError
from devsynthd.wire.errors import Cancelled, Incomplete
from devsynthd.wire.replies import Progress
from tests.ctl.on_loop import on_loop
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, completion


def yes(daemon: FakeDaemon) -> None:
    """Answer one generation in three chunks."""
    request = daemon.receive()
    assert request["stream"] is True
    for seq, text in enumerate(("Yes", ", ", "it is")):
        daemon.chunk(request, seq, text)
    daemon.result(request, completion("Yes, it is"))


def answered_and_cancelled(daemon: FakeDaemon) -> None:
    """Send one chunk of an answer, see it cancelled, and answer a ping."""
    request = daemon.receive()
    daemon.chunk(request, 0, "a")
    cancel = daemon.receive()
    assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
    daemon.error(request, "cancelled")
    daemon.result(cancel, {"cancelled": True})
    daemon.result(daemon.receive(), PONG)


@on_loop
async def test_a_stream_gives_chunks_and_then_the_result(socket_path: Path) -> None:
    with FakeDaemon(socket_path, yes):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("Is it?")
            with pytest.raises(RuntimeError):
                _ = stream.result
            assert [chunk.text async for chunk in stream] == ["Yes", ", ", "it is"]
            assert stream.result.text == "Yes, it is"
            assert [chunk async for chunk in stream] == []


@on_loop
async def test_a_stream_may_be_entered_or_awaited_first(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        yes(daemon)
        yes(daemon)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            async with ctl.stream("Is it?") as entered:
                assert [chunk.text async for chunk in entered] == ["Yes", ", ", "it is"]
            awaited = await ctl.stream("Is it?")
            assert [chunk.text async for chunk in awaited] == ["Yes", ", ", "it is"]
            assert awaited.id != entered.id


@on_loop
async def test_a_stream_that_is_never_asked_for_is_not_sent(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})) as daemon:
        async with AsyncClient(socket_path) as ctl:
            ctl.stream("hi")
            await ctl.stream("hi").aclose()
            await ctl.ping()
        assert daemon.seen.get()["op"] == "ping"


@on_loop
async def test_progress_is_told_between_the_chunks(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is True
        daemon.progress(request, "loading", None)
        daemon.chunk(request, 0, "a")
        daemon.progress(request, "streaming", None)
        daemon.result(request, completion("a"))

    told: list[Progress] = []
    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            chunks = [chunk.text async for chunk in ctl.stream("hi", on_progress=told.append)]
    assert chunks == ["a"]
    assert [each.state for each in told] == ["loading", "streaming"]


@on_loop
async def test_other_requests_are_answered_while_a_stream_is_not_read(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        for seq in range(3000):  # more than libzmq keeps
            daemon.chunk(request, seq, "x")
        daemon.result(daemon.receive(), PONG)
        daemon.result(request, completion("x" * 3000))

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            stream = await ctl.stream("hi")
            assert (await ctl.ping()).pid == 4321
            assert "".join([chunk.text async for chunk in stream]) == "x" * 3000


@pytest.mark.parametrize("way", ["aclose", "leave", "break", "drop", "cancel the task"])
@on_loop
async def test_a_stream_that_is_left_early_is_cancelled(socket_path: Path, way: str) -> None:
    with FakeDaemon(socket_path, answered_and_cancelled):
        async with AsyncClient(socket_path) as ctl:
            match way:
                case "aclose":
                    stream = ctl.stream("hi")
                    await anext(stream)
                    await stream.aclose()
                    assert [chunk async for chunk in stream] == []
                case "leave":
                    async with ctl.stream("hi") as stream:
                        await anext(stream)
                case "break":
                    async for _ in ctl.stream("hi"):
                        break
                case "drop":
                    stream = await ctl.stream("hi")
                    await anext(stream)
                    del stream
                case _:
                    stream = ctl.stream("hi")
                    await anext(stream)
                    reader = asyncio.ensure_future(stream.__anext__())
                    await asyncio.sleep(0)
                    reader.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await reader
            await asyncio.sleep(0)  # what is dropped is cancelled by the loop
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_a_cancelled_stream_tells_what_came(socket_path: Path) -> None:
    with FakeDaemon(socket_path, answered_and_cancelled):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("hi")
            await anext(stream)
            stream.cancel()
            with pytest.raises(Cancelled) as caught:
                await anext(stream)
            assert caught.value.details["text"] == "a"
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_closing_ends_the_iteration_in_another_task(socket_path: Path) -> None:
    with FakeDaemon(socket_path, answered_and_cancelled):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("hi")
            read: list[str] = []
            first = asyncio.Event()

            async def reader() -> None:
                async for chunk in stream:
                    read.append(chunk.text)
                    first.set()

            task = asyncio.create_task(reader())
            await first.wait()
            with pytest.raises(RuntimeError, match="another task reads this"):
                await anext(stream)
            await stream.aclose()
            await task
            assert read == ["a"]
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_a_lost_chunk_is_an_error_and_the_rest_is_cancelled(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "a")
        daemon.chunk(request, 2, "c")
        assert daemon.receive()["op"] == "cancel"

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("hi")
            await anext(stream)
            with pytest.raises(Incomplete, match="chunk 1") as caught:
                await anext(stream)
    assert caught.value.details["text"] == "a"


@on_loop
async def test_a_failing_stream_tells_what_came_before(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.error(request, "upstream_timeout")

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("hi")
            with pytest.raises(DevsynthError) as caught:
                _ = [chunk async for chunk in stream]
            assert caught.value.details["text"] == "half an "
            with pytest.raises(RuntimeError):
                _ = stream.result


@on_loop
async def test_a_lost_stream_tells_what_came(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.hang_up()

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(ConnectionLost, match="went away") as caught:
                _ = [chunk async for chunk in ctl.stream("hi")]
    assert caught.value.details["text"] == "half an "


@on_loop
async def test_a_stream_that_nobody_reads_is_given_up_before_it_fills_the_memory(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request, ping = daemon.receive(), daemon.receive()
        for seq in range(20):
            daemon.chunk(request, seq, "x" * 2**20)
        cancel = daemon.receive()
        assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
        daemon.result(ping, PONG)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            stream = await ctl.stream("hi")
            assert (await ctl.ping()).pid == 4321
            with pytest.raises(Incomplete, match="not read") as caught:
                _ = [chunk async for chunk in stream]
    assert 15 * 2**20 < len(caught.value.details["text"]) < 18 * 2**20
