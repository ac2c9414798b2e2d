"""Who is there, who has left, and that each gets its own."""

import asyncio
import os
import time
from pathlib import Path

import zmq

from devsynthd.transport.peer import Peer
from tests.support.second_user import run_as_second_user, second_user
from tests.transport.listening import (
    MAX_MESSAGE_BYTES,
    Recorder,
    client,
    client_process,
    greeting,
    listening,
    routing,
)


def test_a_peer_is_known_by_user_process_and_kind_of_socket(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path) as dealer:
                await dealer.send(b"hello")
                peer, _ = await recorder.messages.get()
            with client(path, socket_type=zmq.REQ) as req:
                await req.send(b"hello")
                lockstep, frames = await recorder.messages.get()

        assert (peer.uid, peer.pid, peer.is_req) == (os.geteuid(), os.getpid(), False)
        assert (lockstep.is_req, frames) == (True, [b"", b"hello"])

    asyncio.run(scenario())


def say_hello(path: Path) -> int:
    """Send one message; return who did."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.connect(f"ipc://{path}")
        socket.send(b"hello")
        socket.recv()
    return os.getpid()


def test_another_user_is_known_as_such(short_dir: Path) -> None:
    path = short_dir / "s"

    def open_up() -> None:
        short_dir.chmod(0o755)
        path.chmod(0o666)

    async def scenario() -> None:
        async with listening(path) as recorder:
            open_up()
            visit = asyncio.create_task(asyncio.to_thread(run_as_second_user, say_hello, path))
            peer, _ = await recorder.messages.get()
            peer.send([b"welcome"])

            assert (peer.uid, peer.pid) == (second_user().pw_uid, await visit)

    asyncio.run(scenario())


def test_a_killed_client_is_noticed_at_once(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client_process(path) as process:
                peer, _ = await recorder.messages.get()
                assert peer.pid == process.pid
                process.kill()
                killed_at = time.monotonic()

                assert await recorder.departures.get() is peer
                assert time.monotonic() - killed_at < 0.5
                assert peer.gone

    asyncio.run(scenario())


def test_sending_tells_that_a_peer_is_gone_before_the_news_of_it(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path) as socket:
                peer = await greeting(recorder, socket)
            while not peer.gone:  # nothing is awaited: the loop cannot read the news
                peer.send([b"too late"])

            peer.send([b"dropped"])
            assert peer.writable
            assert await recorder.departures.get() is peer
            assert recorder.clients == [1, 0]
            assert recorder.departures.empty()

    asyncio.run(scenario())


def test_a_reused_descriptor_belongs_to_the_newcomer(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        descriptors = []
        async with listening(path) as recorder:
            for _ in range(20):
                with client(path) as socket:
                    peer = await greeting(recorder, socket)
                    descriptors.append(peer.fd)
                assert await recorder.departures.get() is peer

        assert len(set(descriptors)) < len(descriptors)

    asyncio.run(scenario())


async def leave_a_message(path: Path) -> None:
    """Connect; then send and be gone, with the loop blocked meanwhile."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        with socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED) as made:
            socket.connect(f"ipc://{path}")
            await asyncio.to_thread(made.recv_multipart)  # only a running loop lets anybody in
            socket.disable_monitor()
        socket.send(b"from one who left")


def test_what_a_client_left_behind_is_not_taken_for_its_successors(short_dir: Path) -> None:
    """The router sees the old message, the departure and the newcomer all at the same time."""
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            for _ in range(30):
                await leave_a_message(path)  # and the loop has noticed nothing of it
                with client(path) as socket:
                    await socket.send(b"here")
                    late = await answered(recorder)
                    assert await socket.recv() == b"for you"
                    left = {await recorder.departures.get() for _ in late}
                    assert left == late
                await recorder.departures.get()

    async def answered(recorder: Recorder) -> set[Peer]:
        """Answer the newcomer; return those who left but whose message was handed on."""
        late: set[Peer] = set()
        while True:
            peer, frames = await recorder.messages.get()
            if frames == [b"here"]:
                peer.send([b"for you"])
                return late
            late.add(peer)

    asyncio.run(scenario())


def test_an_identity_that_comes_again_is_a_new_peer(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path, identity=b"editor") as socket:
                first = await greeting(recorder, socket)
            assert await recorder.departures.get() is first
            with client(path, identity=b"editor") as socket:
                second = await greeting(recorder, socket)
                assert second is not first
                assert second.routing_id == first.routing_id == b"editor"
                first.send([b"for the first"])
                second.send([b"for the second"])
                assert await socket.recv() == b"for the second"
            assert await recorder.departures.get() is second

    asyncio.run(scenario())


def test_an_identity_cannot_be_stolen(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path, identity=b"editor") as socket:
                peer = await greeting(recorder, socket)
                with client(path, identity=b"editor", connect=False) as thief:
                    made = thief.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
                    thief.connect(f"ipc://{path}")
                    await thief.send(b"it is me")
                    await made.recv_multipart()
                    assert await greeting(recorder, socket) is peer
                    thief.disable_monitor()
                    made.close()
                with client(path) as later:  # whose departure is told after the thief's
                    passer_by = await greeting(recorder, later)
                assert await recorder.departures.get() is passer_by
                assert await greeting(recorder, socket) is peer
            assert await recorder.departures.get() is peer

    asyncio.run(scenario())


def test_of_a_body_that_is_too_large_only_the_start_is_handed_on(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Recorder()
        with routing(recorder, path, max_body_bytes=1000), client(path) as socket:
            peer = await greeting(recorder, socket)
            for frames in ([b"{" * 1001], [b"", b"{" * 1001], [b"x" * 1001, b"{" * 100]):
                await socket.send_multipart(frames)
                told = await recorder.refusals.get()
                assert told == (peer, b"{" * 64, 1001, frames[0] == b"")
            await socket.send(b"{" * 1000)
            assert await recorder.messages.get() == (peer, [b"{" * 1000])

    asyncio.run(scenario())


def test_a_message_over_the_limit_ends_that_connection_only(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path) as bystander, client(path) as socket:
                other = await greeting(recorder, bystander)
                peer = await greeting(recorder, socket)
                await socket.send(bytes(MAX_MESSAGE_BYTES))
                assert len((await recorder.messages.get())[1][0]) == MAX_MESSAGE_BYTES
                await socket.send(bytes(MAX_MESSAGE_BYTES + 1))

                assert await recorder.departures.get() is peer
                assert await greeting(recorder, bystander) is other

    asyncio.run(scenario())


def test_closing_twice_is_closing_once_and_replies_still_leave(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        with client(path) as socket:
            async with listening(path) as recorder:
                await socket.send(b"bye")
                peer, _ = await recorder.messages.get()
                peer.send([b"goodbye"])
            peer.send([b"into the void"])
            assert await socket.recv() == b"goodbye"

    asyncio.run(scenario())


def test_who_speaks_at_the_end_is_still_heard(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Recorder()
        with routing(recorder, path) as router, client(path) as socket:
            await greeting(recorder, socket)
            await socket.send(b"one more")
            await router.fall_silent()
            assert recorder.messages.get_nowait()[1] == [b"one more"]

    asyncio.run(scenario())


def test_who_speaks_on_and_on_does_not_keep_it_from_ending(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Recorder()
        with routing(recorder, path) as router, client(path) as socket:
            silent = asyncio.create_task(router.fall_silent())
            while not silent.done():
                await socket.send(b"more")
                await recorder.messages.get()

    asyncio.run(scenario())
