"""Loading, unloading and downloading at LM Studio 0.4 and later."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from devsynthd.upstream.base import Job, LoadedInstance
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.wire.errors import DevsynthError, ErrorCode
from tests.lmstudio import LMStudio, Model, errors, faults, paths
from tests.lmstudio.asking import GEMMA, NOMIC, QWEN
from tests.lmstudio.script import Fault
from tests.support.upstream_replies import status
from tests.upstream.asker import Asker, another_server, lmstudio
from tests.upstream.asking import PATIENT

GRANITE = "ibm/granite-4-micro"


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1", [GEMMA, QWEN, NOMIC]) as studio:
        studio.downloads.catalog[GRANITE] = Model(key=GRANITE, size_bytes=2_000_000_000)
        yield studio


@pytest.fixture
def asker(studio: LMStudio) -> Iterator[Asker[LMStudioUpstream]]:
    with lmstudio(studio.url) as asker:
        asker.poll()
        yield asker


def test_only_the_newest_generation_can_manage() -> None:
    """R12: and nothing is known before the server was recognised."""
    with LMStudio("v0") as studio, lmstudio(studio.url) as asker:
        assert asker.upstream.manager is None
        for generation, can in (("v0", False), ("openai", False), ("v1", True)):
            studio.upgrade(generation)  # type: ignore[arg-type]  # the three of them
            asker.poll()
            assert (asker.upstream.manager is not None) is can, generation
            studio.stop()
            asker.no_list()
            assert asker.upstream.manager is None


def test_another_server_cannot_be_managed() -> None:
    with (
        another_server(v1_models={"data": [{"id": "a"}]}) as server,
        lmstudio(server.url.removesuffix("/v1")) as asker,
    ):
        asker.poll()

        assert asker.upstream.manager is None


def test_a_load_tells_what_it_got(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """F6, F27: each load is one more instance; documented fields are sent and nothing else."""
    first = asker.load(QWEN)
    second = asker.load(QWEN, 8192)

    assert (first.id, first.context_length) == (QWEN, 4096)
    assert (second.id, second.context_length) == (f"{QWEN}:2", 8192)
    assert first.load_time_s >= 0
    assert [each.body for each in studio.requests(path=paths.LOAD)] == [
        {"model": QWEN, "echo_load_config": True},
        {"model": QWEN, "echo_load_config": True, "context_length": 8192},
    ]
    assert len(asker.models()[QWEN].instances) == 2


def test_the_context_is_the_one_that_was_got(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F32: the engine cuts what was asked for without a word."""
    studio.settings.context_cap = 4864

    assert asker.load(QWEN, 16384).context_length == 4864


def test_an_embedding_model_is_loaded_too(asker: Asker[LMStudioUpstream]) -> None:
    assert asker.load(NOMIC).context_length == 2048


def test_an_answer_without_an_echo_is_one(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """R4: what is missing is unknown."""
    studio.next_fault(faults.instead(status(200, {"instance_id": "a"})), path=paths.LOAD)
    assert asker.load("a") == LoadedInstance("a", None, 0.0)
    took = {"instance_id": "a", "load_time_seconds": 9.099, "load_config": "odd"}
    studio.next_fault(faults.instead(status(200, took)), path=paths.LOAD)
    assert asker.load("a") == LoadedInstance("a", None, 9.099)


@pytest.mark.parametrize("took", [b"1e400", b"-1", b"NaN", b"9" * 400, b'"5"', b"[]"])
def test_a_load_that_took_no_such_time_took_none(
    studio: LMStudio, asker: Asker[LMStudioUpstream], took: bytes
) -> None:
    answer = b'{"instance_id":"a","load_time_seconds":%b}' % took
    studio.next_fault(faults.instead(status(200, answer)), path=paths.LOAD)

    assert asker.load("a") == LoadedInstance("a", None, 0.0)


def test_a_load_may_take_minutes(studio: LMStudio) -> None:
    """F18, R8: it has three minutes at least, whatever an answer and a list have."""
    gate = studio.hold_loads()
    timeouts = msgspec.structs.replace(PATIENT, first_token_s=0.1, idle_s=0.1)

    async def run(upstream: LMStudioUpstream) -> LoadedInstance:
        manager = upstream.manager
        assert manager is not None
        task = asyncio.create_task(manager.load(QWEN, None))
        await asyncio.to_thread(studio.wait_request, path=paths.LOAD)
        await asyncio.wait({task}, timeout=0.3)
        assert not task.done()
        assert (await upstream.models()).models[1].loaded is False
        await asyncio.to_thread(gate.step)
        return await task

    with lmstudio(studio.url, timeouts=timeouts) as asker:
        asker.poll()
        assert asker.run(run(asker.upstream)).id == QWEN
    assert len(studio.requests(path=paths.LOAD)) == 1


def test_a_load_that_is_cancelled_is_hung_up_on(studio: LMStudio) -> None:
    """R9: LM Studio may finish it all the same."""
    studio.hold_loads()

    async def run(upstream: LMStudioUpstream) -> None:
        manager = upstream.manager
        assert manager is not None
        task = asyncio.create_task(manager.load(QWEN, None))
        await asyncio.to_thread(studio.wait_request, path=paths.LOAD)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()

    with lmstudio(studio.url) as asker:
        asker.poll()
        asker.run(run(asker.upstream))
        studio.wait_disconnected(path=paths.LOAD)


@pytest.mark.parametrize(
    "reason",
    [
        errors.INSUFFICIENT_RESOURCES,
        errors.OPERATION_CANCELED,
        "Error loading model.",
        "Utility process exited. (Exit code: 7)",
    ],
)
def test_a_load_that_fails_tells_the_reason(
    studio: LMStudio, asker: Asker[LMStudioUpstream], reason: str
) -> None:
    """F5, F30: and is not tried again."""
    studio.next_load_fails(reason)
    error = asker.no_load(QWEN)

    assert error.code is ErrorCode.MODEL_LOAD_FAILED
    assert reason in error.details["message"]
    assert len(studio.requests(path=paths.LOAD)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        faults.plain_error("Channel Error", 500),
        faults.plain_error("Channel Error", 200),
        faults.object_error('Failed to load model "x". Error: no', "model_not_found", 404),
        faults.native_error("model_load_failed", "no"),
        faults.native_error("unknown", "Utility process exited"),
        faults.crashed(),
        faults.not_json(500),
    ],
)
def test_a_load_that_fails_in_other_words_is_a_failed_load(
    studio: LMStudio, asker: Asker[LMStudioUpstream], fault: Fault
) -> None:
    """F1, F5, R1: its status and body are not confirmed."""
    studio.next_fault(fault, path=paths.LOAD)

    assert asker.no_load(QWEN).code is ErrorCode.MODEL_LOAD_FAILED


def test_a_model_that_is_not_there_cannot_be_loaded(asker: Asker[LMStudioUpstream]) -> None:
    error = asker.no_load("nobody/knows")

    assert error.code is ErrorCode.MODEL_NOT_FOUND
    assert "nobody/knows" in error.details["message"]


def test_a_server_that_went_away_is_no_failed_load(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F30."""
    studio.stop()

    assert asker.no_load(QWEN).code is ErrorCode.UPSTREAM_UNAVAILABLE


def test_unloading_takes_the_one_instance(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """F6, F27: by its id."""
    for _ in range(3):
        asker.load(QWEN)
    asker.unload(f"{QWEN}:2")

    assert [each.id for each in asker.models()[QWEN].instances] == [QWEN, f"{QWEN}:3"]
    assert studio.requests(path=paths.UNLOAD)[0].body == {"instance_id": f"{QWEN}:2"}


def test_what_is_gone_already_is_unloaded(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """F28: it may have been evicted meanwhile; how that is told is not confirmed."""
    asker.unload(QWEN)
    for gone in (
        faults.not_json(404),
        faults.plain_error("Unknown instance", 404),
        faults.object_error("Instance not found", status=404),
        faults.native_error("model_not_found", "no", 400),
    ):
        studio.next_fault(gone, path=paths.UNLOAD)
        asker.unload(QWEN)


@pytest.mark.parametrize("fault", [faults.plain_error("boom", 500), faults.unexpected_endpoint()])
def test_an_unload_that_fails_is_told(
    studio: LMStudio, asker: Asker[LMStudioUpstream], fault: Fault
) -> None:
    """F1, R1: status 200 or not."""
    studio.next_fault(fault, path=paths.UNLOAD)

    with pytest.raises(DevsynthError) as caught:
        asker.unload(QWEN)
    assert caught.value.code is ErrorCode.UPSTREAM_ERROR


def test_a_download_is_a_job_that_goes_on(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """F27, R12."""
    begun = asker.download(GRANITE)
    assert begun == Job(
        id=studio.downloads.jobs[0].id, status="downloading", size_bytes=2_000_000_000
    )
    assert begun.id is not None
    studio.clock.advance(5)
    half = asker.job(begun.id)
    assert (half.status, half.downloaded_bytes, half.size_bytes) == (
        "downloading",
        500_000_000,
        2_000_000_000,
    )
    studio.downloads.pause(begun.id)
    studio.clock.advance(100)
    paused = asker.job(begun.id)
    assert (paused.status, paused.downloaded_bytes) == ("paused", 500_000_000)
    studio.downloads.resume(begun.id)
    studio.clock.advance(100)
    assert asker.job(begun.id).status == "completed"
    assert GRANITE in asker.models()

    assert studio.requests(path=paths.DOWNLOAD)[0].body == {"model": GRANITE}


def test_a_download_of_one_quantization_names_it(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F27."""
    asker.download(GRANITE, "Q8_0")

    assert studio.requests(path=paths.DOWNLOAD)[0].body == {
        "model": GRANITE,
        "quantization": "Q8_0",
    }


def test_a_download_that_fails_has_a_reason(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    job_id = asker.download(GRANITE).id
    assert job_id is not None
    studio.downloads.fail(job_id, "No space\nleft on device")
    job = asker.job(job_id)

    assert (job.status, job.reason) == ("failed", "No space left on device")


def test_what_is_there_already_is_no_job(asker: Asker[LMStudioUpstream]) -> None:
    assert asker.download(QWEN) == Job(id=None, status="already_downloaded", size_bytes=None)


def test_what_is_not_to_be_had_is_told(asker: Asker[LMStudioUpstream]) -> None:
    with pytest.raises(DevsynthError) as of_model:
        asker.download("nobody/knows")
    with pytest.raises(DevsynthError) as of_job:
        asker.job("job_1")

    assert of_model.value.code is ErrorCode.MODEL_NOT_FOUND
    assert of_job.value.code is ErrorCode.UPSTREAM_ERROR
    assert "job_1" in of_job.value.details["message"]
