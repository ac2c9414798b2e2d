"""The client on asyncio: requests, typed results, typed errors, cancelled tasks."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devsynthctl import AsyncClient, BadReply, Client, DevsynthError, UnknownError
from devsynthctl.generation_request import GenerateOptions
from devsynthd.wire.errors import BadRequest, ErrorCode, Forbidden, ModelNotFound, error_classes
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.replies import Progress
from tests.ctl.on_loop import on_loop
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import (
    DOWNLOADED,
    LOADED,
    PONG,
    SELECTED,
    STATUS,
    UNLOADED,
    completion,
    model,
    models,
)

EMBEDDED: dict[str, Any] = {"model": "e", "embeddings": [[1.0]], "usage": None, "warnings": []}
SET: dict[str, Any] = {
    "key": "llm_model",
    "value": "a",
    "effective": "a",
    "source": "file",
    "warnings": [],
}


@on_loop
async def test_each_operation_gives_its_typed_result(socket_path: Path) -> None:
    answers = {
        "ping": PONG,
        "status": STATUS,
        "list": models(model("a", loaded=True)),
        "select": SELECTED,
        "generate": completion("Yes."),
        "embed": EMBEDDED,
        "load": LOADED,
        "unload": UNLOADED,
        "download": DOWNLOADED,
        "cancel": {"cancelled": True},
        "config_get": {"settings": []},
        "config_set": SET,
        "reload": {"config_generation": 2, "changed": ["llm_model"]},
        "shutdown": {},
    }
    with FakeDaemon(socket_path, lambda daemon: daemon.serve(answers)):
        async with AsyncClient(socket_path) as ctl:
            assert (await ctl.ping()).version == "9.8.7"
            assert (await ctl.status()).queue.waiting == 2
            assert (await ctl.list()).models[0].loaded is True
            assert (await ctl.select("a")).previous is None
            assert (await ctl.generate("Is it?")).text == "Yes."
            assert (await ctl.embed(("x",))).embeddings == ((1.0,),)
            assert (await ctl.load("a")).instance_id == "qwen/small:2"
            assert (await ctl.unload("a")).instance_ids == ("qwen/small", "qwen/small:2")
            assert (await ctl.download("a")).size_bytes == 2_100_000_000
            assert await ctl.cancel(request=3) is True
            assert (await ctl.config_get()).settings == ()
            assert (await ctl.config_set("llm_model", "a")).effective == "a"
            assert (await ctl.reload()).changed == ("llm_model",)
            await ctl.shutdown()


@on_loop
async def test_what_is_asked_is_what_the_blocking_client_asks(socket_path: Path) -> None:
    answers = {
        "list": models(),
        "select": SELECTED,
        "generate": completion(""),
        "embed": EMBEDDED,
        "load": LOADED,
        "unload": UNLOADED,
        "download": DOWNLOADED,
        "cancel": {"cancelled": True},
        "config_get": {"settings": []},
        "config_set": SET,
        "shutdown": {},
    }
    asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("list", (), {"refresh": True, "max_age": 3, "since": 4, "loaded": True, "kind": "llm"}),
        ("select", (None,), {"persist": False, "force": True}),
        ("generate", ("Go",), {"messages": [{"role": "user", "content": "x"}], "wait": 1}),
        ("generate", (), {"messages": [{"role": "user", "content": "x"}], "max_tokens": 5}),
        ("generate", ("Go",), {"on_progress": lambda _: None, "schema": {"type": "object"}}),
        ("embed", (["a", "b"], "e"), {}),
        ("load", ("a",), {"context_length": 8192}),
        ("unload", ("a:2",), {}),
        ("download", ("a",), {"quantization": "Q4_K_M"}),
        ("cancel", ("7",), {}),
        ("config_get", ("llm_model",), {}),
        ("config_set", ("llm_model", "a"), {}),
        ("shutdown", (2,), {}),
    ]
    with FakeDaemon(socket_path, lambda each: each.serve(answers)) as daemon:
        async with AsyncClient(socket_path, name="editor/2") as ctl:
            for method, args, kwargs in asked:
                await getattr(ctl, method)(*args, **kwargs)
        sent = [daemon.seen.get() for _ in asked]
        with Client(socket_path, name="editor/2") as blocking:
            for method, args, kwargs in asked:
                getattr(blocking, method)(*args, **kwargs)
        assert sent == [daemon.seen.get() for _ in asked]


@on_loop
async def test_a_timeout_is_sent_with_the_time_of_sending(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})) as daemon:
        async with AsyncClient(socket_path, timeout=50) as ctl:
            await ctl.ping()
            await ctl.ping(timeout=9)
        of_client, of_request = daemon.seen.get(), daemon.seen.get()

    assert 49 < of_client["timeout"] <= 50
    assert 8 < of_request["timeout"] <= 9
    assert of_client["sent"] > 1_700_000_000


@on_loop
async def test_answers_find_their_requests_in_any_order(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        requests = [daemon.receive() for _ in range(50)]
        for request in reversed(requests):
            daemon.result(request, completion(request["prompt"]))

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            answers = await asyncio.gather(*(ctl.generate(str(n)) for n in range(50)))
    assert [each.text for each in answers] == [str(n) for n in range(50)]


@on_loop
async def test_more_than_the_socket_holds_is_sent_bit_by_bit(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        assert daemon.go.wait(10)
        daemon.serve({"ping": PONG})

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            await ctl.connect()
            pings = [asyncio.ensure_future(ctl.ping()) for _ in range(5000)]
            await asyncio.sleep(0)  # all of them are sent, or wait to be
            for ping in pings[4000:]:
                ping.cancel()
            daemon.go.set()
            answers = await asyncio.gather(*pings, return_exceptions=True)
    assert {type(each).__name__ for each in answers[:4000]} == {"Pong"}
    assert {type(each).__name__ for each in answers[4000:]} == {"CancelledError"}
    assert 4000 <= daemon.seen.qsize() < 5000


@on_loop
async def test_a_cancelled_task_cancels_its_request(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        cancel = daemon.receive()
        assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
        daemon.error(request, "cancelled")
        daemon.result(cancel, {"cancelled": True})
        daemon.result(daemon.receive(), PONG)

    queued = asyncio.Event()
    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            task = asyncio.create_task(ctl.generate("hi", on_progress=lambda _: queued.set()))
            await queued.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_an_asyncio_timeout_cancels_the_request(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.wait_until_cancelled(daemon.receive())
        daemon.result(daemon.receive(), PONG)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ctl.generate("hi")
            assert (await ctl.ping()).pid == 4321


@pytest.mark.parametrize("code", list(ErrorCode))
@on_loop
async def test_an_error_is_raised_as_the_class_of_its_code(
    socket_path: Path, code: ErrorCode
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), code, hint="do this", details={"near": ["b"]})

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(error_classes()[code]) as caught:
                await ctl.cancel(request=1)
    assert (str(caught.value), caught.value.hint) == (f"it is {code}", "do this")
    assert caught.value.details == {"near": ["b"]}


@on_loop
async def test_an_error_with_a_new_code_keeps_it(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "too_hot", retryable=True)
        daemon.result(daemon.receive(), PONG)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(UnknownError) as caught:
                await ctl.ping()
            assert (caught.value.code, caught.value.retryable) == ("too_hot", True)
            assert (await ctl.ping()).pid == 4321


NOBODY_S = msgspec.msgpack.encode(
    {"type": "error", "id": None, "error": {"code": "forbidden", "message": "not yours"}}
)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (NOBODY_S, Forbidden),
        (b"", BadReply),
        (b"\xc1", BadReply),
        (b"HTTP/1.1 400", BadReply),
        (b"\x81\xa4type\xa6gossip", BadReply),
    ],
    ids=repr,
)
@on_loop
async def test_what_is_nobody_s_reply_fails_all_that_wait(
    socket_path: Path, body: bytes, error: type[DevsynthError]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        first, _second = daemon.receive(), daemon.receive()
        daemon.send_body(first["id"], body)
        daemon.result(daemon.receive(), PONG)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            asked = (ctl.generate("a"), ctl.generate("b"))
            one, other = await asyncio.gather(*asked, return_exceptions=True)
            assert type(one) is type(other) is error
            assert one is not other
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_a_result_of_another_shape_is_refused(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": {"pid": "no"}})):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(BadReply):
                await ctl.ping()


@on_loop
async def test_what_cannot_be_sent_is_told_and_not_sent(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})) as daemon:
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(BadRequest, match="the limit is"):
                await ctl.generate("x" * MAX_BODY_BYTES)
            with pytest.raises(BadRequest, match="not Unicode"):
                await ctl.generate("\udcff")
            with pytest.raises(BadRequest, match="too large"):
                await ctl.config_set("llm_max_tokens", 10**400)
            with pytest.raises(BadRequest, match="OpenAI form"):
                await ctl.generate("hi", messages=[{"content": "no role"}])
            await ctl.ping()
        assert daemon.seen.get()["op"] == "ping"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("temprature", "did you mean `temperature`?"),
        ("timeuot", "did you mean `timeout`?"),
        ("stream", "call `stream()`"),
        ("progress", "give `on_progress`"),
        ("colour", "help(Client.generate)"),
    ],
)
@on_loop
async def test_a_misspelt_option_is_told_with_the_nearest_one(
    socket_path: Path, option: str, told: str
) -> None:
    ctl: Any = AsyncClient(socket_path)
    for ask in (ctl.generate, ctl.stream):
        with pytest.raises(TypeError) as caught:
            await ask("hi", **{option: True})
        assert f"no option `{option}`" in str(caught.value)
        assert told in str(caught.value)


def test_the_help_names_every_option() -> None:
    text = AsyncClient.generate.__doc__ or ""
    assert [name for name in GenerateOptions.__annotations__ if f"{name} (" not in text] == [
        "presence_penalty"
    ]
    assert "- presence_penalty, frequency_penalty (" in text


@on_loop
async def test_progress_is_told_where_somebody_listens(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is True
        for fraction in (None, 0.5, 1.0):
            daemon.progress(request, "loading", fraction)
        daemon.result(request, LOADED)
        request = daemon.receive()
        assert request["progress"] is False
        daemon.progress(request, "loading", None)  # unasked
        daemon.result(request, LOADED)

    told: list[Progress] = []
    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            assert (await ctl.load("a", on_progress=told.append)).load_time_s == 9.06
            assert (await ctl.load("a")).model == "qwen/small"
    assert [each.fraction for each in told] == [None, 0.5, 1.0]


@on_loop
async def test_what_on_progress_raises_cancels_the_request(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "downloading", 0.5)
        cancel = daemon.receive()
        assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
        daemon.result(daemon.receive(), PONG)

    def listen(_progress: Progress) -> None:
        raise ModelNotFound("another one's")

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(ModelNotFound):
                await ctl.download("a", on_progress=listen)
            assert (await ctl.ping()).pid == 4321


@pytest.mark.parametrize("since", [None, 4])
@on_loop
async def test_a_change_is_waited_for_from_now_or_from_what_is_known(
    socket_path: Path, since: int | None
) -> None:
    changed = {**models(model("a")), "generation": 5}

    def script(daemon: FakeDaemon) -> None:
        if since is None:
            daemon.result(daemon.receive(), {**models(), "generation": 4})
        request = daemon.receive()
        assert request["since"] == 4
        daemon.result(request, changed)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            assert (await ctl.wait_for_change(since, timeout=10)).generation == 5


PROGRAM = """
import asyncio, sys, threading
from devsynthctl import AsyncClient, DevsynthError

async def main(path):
    async with AsyncClient(path) as client:
        await client.ping()
        stream = await client.stream("hi")
        tasks = [asyncio.create_task(client.generate("hi")) for _ in range(3)]
        print(threading.active_count())
        await asyncio.sleep(0)
    print({type(each).__name__ for each in await asyncio.gather(*tasks, return_exceptions=True)})
    async with AsyncClient(path + "-nobody") as client:
        try:
            await client.ping()
        except DevsynthError as exc:
            print(type(exc).__name__)

asyncio.run(main(sys.argv[1]))
"""


def test_a_closed_client_leaves_nothing_open(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"ping": PONG, "generate": LOADED})):
        process = subprocess.run(
            [sys.executable, "-X", "dev", "-c", PROGRAM, str(socket_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
        )

    assert (process.stdout, process.stderr) == ("1\n{'ConnectionLost'}\nDaemonUnreachable\n", "")


@on_loop
async def test_a_client_that_is_forgotten_open_says_so_and_hangs_up(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), PONG)
        daemon.wait_until_cancelled(daemon.receive())

    with FakeDaemon(socket_path, script):
        ctl = AsyncClient(socket_path)
        await ctl.ping()
        stream = await ctl.stream("hi")  # which still needs its connection
        del ctl
        await stream
        del stream  # with it goes the last that knows the connection
        with pytest.warns(ResourceWarning, match="not closed: use `async with`"):
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def test_a_client_serves_one_loop_after_the_other_if_it_is_closed_in_between(
    socket_path: Path,
) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})):
        ctl = AsyncClient(socket_path)

        async def ask_and_close() -> None:
            await ctl.ping()
            await ctl.close()

        asyncio.run(ask_and_close())
        asyncio.run(ask_and_close())


def test_another_event_loop_is_refused(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})):
        ctl = AsyncClient(socket_path)

        async def meet() -> None:
            await ctl.ping()
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, ctl.ping())
            with pytest.raises(RuntimeError, match="another event loop"):
                await asyncio.to_thread(asyncio.run, ctl.close())

        asyncio.run(meet())
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(ctl.ping())
        asyncio.run(ctl.close())  # its loop is closed: whoever comes may end it
        asyncio.run(close_after(ctl))


async def close_after(ctl: AsyncClient) -> None:
    """Ask once more, and close."""
    await ctl.ping()
    await ctl.close()


FORKING = """
import asyncio, os, sys
from devsynthctl import AsyncClient

client = AsyncClient(sys.argv[1])

async def ask():
    try:
        print((await client.ping()).pid, flush=True)
    except RuntimeError as exc:
        print(exc, flush=True)

async def main():
    await ask()
    if os.fork() == 0:
        return True
    os.wait()
    await ask()
    await client.close()
    return False

if asyncio.run(main()):
    asyncio.run(ask())
    os._exit(0)
"""


def test_a_child_process_is_told_to_make_a_client_of_its_own(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"ping": PONG})):
        process = subprocess.run(
            [sys.executable, "-c", FORKING, str(socket_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
        )
    assert process.stdout.splitlines() == [
        "4321",
        "this AsyncClient is in use in the parent process: make one in each process",
        "4321",
    ]
