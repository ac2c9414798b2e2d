"""The client on asyncio when the daemon is not there, is slow, goes away, or comes back."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import AsyncClient, ConnectionLost, DaemonUnreachable, NoAnswer
from devsynthctl.aio.link import Link
from devsynthctl.connection import Disconnected
from devsynthd.wire.codec import encode
from devsynthd.wire.errors import ConfigInvalid, ShuttingDown
from devsynthd.wire.requests import Select
from tests.ctl.on_loop import on_loop
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, SELECTED, STATUS, completion, models

ANSWERS: dict[str, Any] = {
    "ping": PONG,
    "status": STATUS,
    "list": models(),
    "select": SELECTED,
    "generate": completion("Yes."),
    "config_get": {"settings": []},
}


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen without ever answering."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)  # noqa: FBT003 - its only argument
        yield listener


@on_loop
async def test_nobody_there_is_an_error_at_once(socket_path: Path) -> None:
    started = time.monotonic()
    async with AsyncClient(socket_path) as ctl:
        with pytest.raises(DaemonUnreachable) as caught:
            await ctl.ping()
    assert time.monotonic() - started < 1
    assert f"no socket at {socket_path}" in str(caught.value)
    assert caught.value.hint == f"start the daemon: devsynthd --socket {socket_path} &"


@on_loop
async def test_a_dead_daemon_s_socket_is_told_apart(socket_path: Path) -> None:
    with listening(socket_path):
        pass
    async with AsyncClient(socket_path) as ctl:
        with pytest.raises(DaemonUnreachable, match="is gone"):
            await ctl.ping()


def test_an_address_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigInvalid):
        AsyncClient("tcp://127.0.0.1:5555")


@on_loop
async def test_without_an_address_the_common_rule_holds(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_SOCKET", f"ipc://{socket_path}")
    with FakeDaemon(socket_path, lambda daemon: daemon.serve(ANSWERS)):
        async with AsyncClient() as ctl:
            assert (await ctl.ping()).pid == 4321
    async with AsyncClient() as ctl:
        with pytest.raises(DaemonUnreachable) as caught:
            await ctl.ping()
    assert caught.value.hint == "start the daemon: devsynthd &"


@on_loop
async def test_a_silent_listener_is_waited_for_no_longer_than_the_timeout(
    socket_path: Path,
) -> None:
    with listening(socket_path):
        async with AsyncClient(socket_path, timeout=0.2) as ctl:
            started = time.monotonic()
            asked = (ctl.ping(), ctl.status(), ctl.connect())
            ends = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(each) for each in ends] == [NoAnswer] * 3
            assert time.monotonic() - started < 1


@on_loop
async def test_a_listener_that_speaks_something_else_is_not_taken_for_a_daemon(
    socket_path: Path,
) -> None:
    with listening(socket_path) as listener:
        async with AsyncClient(socket_path, timeout=0.5) as ctl:
            ping = asyncio.create_task(ctl.ping())
            for _ in range(2):
                peer, _ = await asyncio.get_running_loop().sock_accept(listener)
                peer.close()
            with pytest.raises(NoAnswer):
                await ping


@on_loop
async def test_a_daemon_that_is_still_starting_is_waited_for(socket_path: Path) -> None:
    """A service manager's socket accepts long before the daemon behind it speaks."""
    loop = asyncio.get_running_loop()
    daemon = FakeDaemon(socket_path, lambda each: each.serve(ANSWERS))
    async with AsyncClient(socket_path) as ctl:
        with listening(socket_path) as listener:
            pings = [asyncio.create_task(ctl.ping()) for _ in range(3)]
            peer, _ = await loop.sock_accept(listener)
            pings.pop().cancel()  # one that gives up takes nothing from the others
            peer.close()  # as when a start fails; the client comes again
            socket_path.unlink()  # noqa: ASYNC240 - a moment
            with daemon:
                assert [each.pid for each in await asyncio.gather(*pings)] == [4321, 4321]


@on_loop
async def test_connect_waits_for_a_daemon_to_appear(socket_path: Path) -> None:
    async with AsyncClient(socket_path) as ctl:
        connecting = asyncio.create_task(ctl.connect(wait=10))
        await asyncio.sleep(0)
        assert not connecting.done()
        with FakeDaemon(socket_path, lambda each: each.serve(ANSWERS)):
            await connecting
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_connect_waits_no_longer_than_it_was_told(socket_path: Path) -> None:
    async with AsyncClient(socket_path) as ctl:
        with pytest.raises(DaemonUnreachable):
            await ctl.connect(wait=0.2)


@on_loop
async def test_a_daemon_that_never_answers_is_given_up_after_the_deadline(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        cancel = daemon.receive()
        assert cancel["target"] == request["id"]

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            started = time.monotonic()
            with pytest.raises(NoAnswer):
                await ctl.generate("hi", timeout=0.1)
            # The daemon had its second to say so itself.
            assert 1.1 <= time.monotonic() - started < 2


@on_loop
async def test_a_daemon_that_does_not_read_is_given_up_at_the_deadline(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        assert daemon.go.wait(10)

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            await ctl.connect()
            asked = (ctl.generate("x", timeout=0.1) for _ in range(5000))
            ends = await asyncio.gather(*asked, return_exceptions=True)
            texts = {str(each) for each in ends}
            assert {type(each) for each in ends} == {NoAnswer}
        daemon.go.set()
    assert any("takes no more requests" in each for each in texts)


@pytest.mark.parametrize("op", ["ping", "status", "list", "config_get"])
@on_loop
async def test_what_changes_nothing_is_asked_again_of_the_next_daemon(
    socket_path: Path, op: str
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            assert await getattr(ctl, op)()
        assert [daemon.seen.get()["op"] for _ in range(2)] == [op, op]


@on_loop
async def test_what_changes_something_is_not_asked_again(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            asked = (ctl.select("a"), ctl.generate("hi"))
            ends = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(each) for each in ends] == [ConnectionLost] * 2
            assert (await ctl.ping()).pid == 4321
        assert [daemon.seen.get()["op"] for _ in range(3)] == ["select", "generate", "ping"]


@on_loop
async def test_what_came_before_the_end_is_not_lost(socket_path: Path) -> None:
    text = [f"{n} " for n in range(640)]

    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        for seq, each in enumerate(text):
            daemon.chunk(request, seq, each)
        daemon.result(request, completion("".join(text)))
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            stream = ctl.stream("count")
            assert (await anext(stream)).text == "0 "
            assert (await ctl.ping()).pid == 4321  # perhaps of the second daemon
            assert [chunk.text async for chunk in stream] == text[1:]
            assert stream.result.text == "".join(text)


@on_loop
async def test_an_idle_client_finds_the_next_daemon(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        assert daemon.go.wait(10)
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script) as daemon, closing(Link(socket_path, "test")) as link:
        session = await link.connect(None)
        assert await link.connect(None) is session
        daemon.go.set()
        await session.wait_until_over()
        await link.send(encode(Select(id=1, model="a")), 1, None)
        with pytest.raises(Disconnected):
            await session.send(encode(Select(id=2, model="a")), 2, None)
        assert daemon.seen.get()["op"] == "select"


@pytest.mark.parametrize("op", ["generate", "select", "list"])
@on_loop
async def test_what_a_draining_daemon_refused_goes_to_the_next_one(
    socket_path: Path, op: str
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")
        daemon.error(daemon.receive(), "shutting_down")
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    args = {"generate": ("hi",), "select": ("a",), "list": ()}
    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            assert await getattr(ctl, op)(*args[op])


@on_loop
async def test_what_a_draining_daemon_refused_and_then_did_not_read_goes_to_the_next_one(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")
        daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            assert await ctl.generate("hi")


@pytest.mark.parametrize("streams", [False, True])
@on_loop
async def test_what_waited_in_the_queue_of_a_daemon_that_ends_goes_to_the_next_one(
    socket_path: Path, *, streams: bool
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        daemon.error(request, "shutting_down")
        daemon.hang_up()
        daemon.listen()
        request = daemon.receive()
        daemon.progress(request, "waiting")
        if streams:
            daemon.chunk(request, 0, "Yes.")
        daemon.result(request, completion("Yes."))

    told: list[str] = []
    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            if streams:
                chunks = ctl.stream("hi", on_progress=lambda each: told.append(each.state))
                assert [chunk.text async for chunk in chunks] == ["Yes."]
            else:
                answer = await ctl.generate("hi", on_progress=lambda each: told.append(each.state))
                assert answer.text == "Yes."
    assert told == ["queued", "waiting"]


@on_loop
async def test_an_answer_that_has_begun_is_not_asked_for_again(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.error(request, "shutting_down")

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(ShuttingDown) as caught:
                _ = [chunk async for chunk in ctl.stream("hi")]
        assert caught.value.details["text"] == "half an "
        daemon.seen.get()
        assert daemon.seen.empty()


@on_loop
async def test_a_daemon_that_drains_on_is_given_up_at_the_timeout(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        while request["op"] != "status":
            daemon.error(request, "shutting_down")
            request = daemon.receive()
        daemon.result(request, STATUS)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            started = time.monotonic()
            with pytest.raises(ShuttingDown):
                await ctl.generate("hi", timeout=0.3)
            assert time.monotonic() - started < 2
            assert (await ctl.status()).pid == 4321  # which a draining daemon still answers


@on_loop
async def test_a_daemon_that_shut_down_and_was_not_followed_is_told_as_that(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.refuse(daemon.receive())
        daemon.hang_up()
        socket_path.unlink(missing_ok=True)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(
                DaemonUnreachable, match="has shut down, and none came back"
            ) as caught:
                await ctl.list(timeout=0.5)
    assert "start the daemon" in (caught.value.hint or "")


@on_loop
async def test_shutdown_is_never_passed_on_to_the_next_daemon(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(ShuttingDown):
                await ctl.shutdown()
        assert daemon.seen.get()["op"] == "shutdown"
        assert daemon.seen.empty()


@on_loop
async def test_closing_ends_all_that_waits_and_a_later_request_connects_again(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.chunk(daemon.receive(), 0, "half an ")
        daemon.receive()
        daemon.error(daemon.receive(), "shutting_down")
        daemon.serve(ANSWERS)

    with FakeDaemon(socket_path, script):
        ctl = AsyncClient(socket_path)
        stream = ctl.stream("hi")
        assert (await anext(stream)).text == "half an "
        waiting = asyncio.create_task(ctl.generate("hi"))
        refused = asyncio.create_task(ctl.select("a"))
        await asyncio.sleep(0)
        await ctl.close()
        for each in (waiting, refused, anext(stream)):
            with pytest.raises(ConnectionLost, match="the client was closed"):
                await each
        assert (await ctl.ping()).pid == 4321
        await ctl.close()


@on_loop
async def test_closing_ends_the_wait_for_a_connection(socket_path: Path) -> None:
    with listening(socket_path) as listener:
        ctl = AsyncClient(socket_path)
        asked = [asyncio.create_task(ctl.ping()) for _ in range(2)]
        for _ in range(2):
            peer, _ = await asyncio.get_running_loop().sock_accept(listener)
            peer.close()
        await ctl.close()
        for each in asked:
            with pytest.raises(ConnectionLost, match="the client was closed"):
                await each
