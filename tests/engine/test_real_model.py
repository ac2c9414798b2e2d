"""The engine answers with a real language model, to us alone, and shares nothing with us."""

import asyncio
import fcntl
import os
import signal
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from devsynthd.upstream.engine import Endpoint, Engine, EngineConfig
from devsynthd.upstream.engine_process import PARALLEL_SLOTS, Order, server_params
from devsynthd.wire.errors import ModelLoadFailed
from tests.engine.conftest import CONTEXT_LENGTH, EngineInThread
from tests.engine.processes import needs_pidfd, watched

pytestmark = pytest.mark.timeout(60)


def ask(endpoint: Endpoint, prompt: str, *, api_key: str | None = None) -> requests.Response:
    """Return the answer to a chat of one message."""
    return requests.post(
        f"{endpoint.base_url}/chat/completions",
        headers={"Authorization": f"Bearer {api_key or endpoint.api_key}"},
        json={"messages": [{"role": "user", "content": prompt}], "max_tokens": 4},
        timeout=30,
    )


def test_answers_a_chat_under_its_alias(shared: EngineInThread) -> None:
    with shared.lease() as endpoint:
        answer = ask(endpoint, "Say hello.").json()

    assert shared.engine.running
    assert answer["model"] == "local_model"
    assert answer["choices"][0]["message"]["content"]


def test_refuses_whoever_has_not_the_key(shared: EngineInThread) -> None:
    with shared.lease() as endpoint:
        assert ask(endpoint, "hi", api_key="guess").status_code == HTTPStatus.UNAUTHORIZED


def test_one_request_may_use_the_whole_context(shared: EngineInThread) -> None:
    prompt = "word " * (CONTEXT_LENGTH // PARALLEL_SLOTS + 100)
    with shared.lease() as endpoint:
        usage = ask(endpoint, prompt).json()["usage"]

    assert CONTEXT_LENGTH // PARALLEL_SLOTS < usage["prompt_tokens"] < CONTEXT_LENGTH


def test_one_process_serves_all_leases(shared: EngineInThread) -> None:
    with shared.lease() as one, shared.lease() as another:
        assert one == another


@needs_pidfd
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_for_the_daemon_do_not_end_it(shared: EngineInThread, number: int) -> None:
    """The daemon drains on them: generations under way need the engine until they are done."""
    with shared.lease() as endpoint:
        pid = shared.engine.pid
        assert pid is not None
        os.kill(pid, number)

        assert ask(endpoint, "hi").ok
        assert os.getsid(pid) == pid != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nobody_can_read_the_key_off_the_process(shared: EngineInThread) -> None:
    with shared.lease() as endpoint:
        process = Path(f"/proc/{shared.engine.pid}")
        visible = (
            process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        )

    assert endpoint.api_key.encode() not in visible
    assert endpoint.api_key not in repr(endpoint)


@needs_pidfd
def test_killed_engine_is_noticed_told_once_and_started_again(
    config: EngineConfig, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        changed = asyncio.Event()
        engine = Engine(config, idle_timeout_s=60, on_change=changed.set)
        async with engine.lease():
            pid = engine.pid
            assert pid is not None
            changed.clear()
            os.kill(pid, signal.SIGKILL)
            await changed.wait()
            assert not engine.running
        async with engine.lease() as endpoint:
            assert engine.pid != pid
            assert (await asyncio.to_thread(ask, endpoint, "hi")).ok
        await engine.stop()

    asyncio.run(scenario())

    (warning,) = (record for record in caplog.records if record.name.startswith("devsynthd"))
    assert "SIGKILL" in warning.message


@needs_pidfd
def test_stops_when_idle_and_starts_again(config: EngineConfig) -> None:
    async def scenario() -> None:
        changed = asyncio.Event()
        engine = Engine(config, idle_timeout_s=0.1, on_change=changed.set)
        async with engine.lease():
            pid = engine.pid
            assert pid is not None
            changed.clear()
        with watched(pid) as ended:
            await changed.wait()
            assert not engine.running
            assert await asyncio.to_thread(ended)
        async with engine.lease():
            assert engine.running
            assert engine.pid != pid
        await engine.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(("threads", "used"), [(3, 3), (0, -1)])  # -1: the engine counts cores
@pytest.mark.usefixtures("weights")
def test_parameters_reach_the_engine(threads: int, used: int) -> None:
    import xllamacpp  # noqa: PLC0415 - optional

    order = Order(
        model_path="m.gguf", alias="name", context_length=2048, threads=threads, api_key="key"
    )
    params = server_params(xllamacpp.CommonParams(), order)

    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (used, used)
    assert (params.n_ctx, params.hostnames, params.port) == (2048, ["127.0.0.1"], 0)
    assert params.offline


def test_shares_no_descriptor_with_its_parent(config: EngineConfig, tmp_path: Path) -> None:
    """A lock is held for as long as anybody has its file open: the engine must not have it."""
    path = tmp_path / "lock"

    async def scenario() -> None:
        engine = Engine(config, idle_timeout_s=60)
        with path.open("w") as lock:
            os.set_inheritable(lock.fileno(), True)  # noqa: FBT003 - it takes no keyword
            fcntl.flock(lock, fcntl.LOCK_EX)
            lease = engine.lease()
            await lease.__aenter__()
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await engine.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"no model at all", "invalid magic"), (b"", "magic"), (None, "cannot be read")],
)
@pytest.mark.usefixtures("weights")  # for the engine that comes with them
def test_file_that_is_no_model_is_explained(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken.gguf"
    if content is not None:
        path.write_bytes(content)
    config = EngineConfig(model_path=path, context_length=512, threads=1)

    async def scenario() -> None:
        engine = Engine(config, idle_timeout_s=60)
        async with engine.lease():
            pytest.fail("it cannot have started")

    with pytest.raises(ModelLoadFailed, match=reason) as caught:
        asyncio.run(scenario())

    assert str(path) in str(caught.value)
    assert "embedded_model_path" in str(caught.value.hint)


def test_truncated_model_is_explained(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "truncated.gguf"
    with weights.open("rb") as file:
        path.write_bytes(file.read(2 * 2**20))
    config = EngineConfig(model_path=path, context_length=512, threads=1)

    async def scenario() -> None:
        async with Engine(config, idle_timeout_s=60).lease():
            pytest.fail("it cannot have started")

    with pytest.raises(ModelLoadFailed, match="corrupted or incomplete"):
        asyncio.run(scenario())
