"""Load, unload and download."""

import pytest

from tests.lmstudio import paths
from tests.lmstudio.asking import GEMMA, NOMIC, QWEN, Asking, Client
from tests.lmstudio.downloads import BYTES_PER_SECOND
from tests.lmstudio.models import Model
from tests.lmstudio.studio import LMStudio

GRANITE = Model(key="ibm/granite-4-micro", publisher="ibm", size_bytes=2279145003)


def test_every_load_makes_another_instance(studio: LMStudio, client: Client) -> None:
    answers = [client.post(paths.LOAD, {"model": QWEN}) for _ in range(2)]

    assert [answer["instance_id"] for answer in answers] == [QWEN, f"{QWEN}:2"]
    assert [list(answer) for answer in answers] == [
        ["type", "instance_id", "load_time_seconds", "status"]
    ] * 2
    assert answers[0]["status"] == "loaded"
    assert all(instance.ttl_s is None for instance in studio.world.instances)


def test_a_load_echoes_its_configuration_when_asked(client: Client) -> None:
    body = {"model": GEMMA, "context_length": 16384, "num_experts": 4, "echo_load_config": True}

    answer = client.post(paths.LOAD, body)

    assert answer["load_config"] == {
        "context_length": 16384,
        "eval_batch_size": 512,
        "flash_attention": True,
        "offload_kv_cache_to_gpu": True,
        "num_experts": 4,
    }


def test_an_embedding_model_echoes_its_context_only(client: Client) -> None:
    answer = client.post(paths.LOAD, {"model": NOMIC, "echo_load_config": True})

    assert answer["type"] == "embedding"
    assert answer["load_config"] == {"context_length": 2048}


@pytest.mark.parametrize(
    ("path", "body", "status", "kind", "code"),
    [
        (paths.LOAD, {}, 400, "invalid_request", "missing_required_parameter"),
        (paths.LOAD, {"model": QWEN, "ttl": 5}, 400, "invalid_request", "unrecognized_keys"),
        (paths.LOAD, {"model": QWEN, "parallel": 8}, 400, "invalid_request", "unrecognized_keys"),
        (paths.LOAD, {"model": "nobody"}, 404, "model_not_found", None),
        (paths.UNLOAD, {"model": QWEN}, 400, "invalid_request", "unrecognized_keys"),
        (paths.UNLOAD, {}, 400, "invalid_request", "missing_required_parameter"),
        (paths.UNLOAD, {"instance_id": QWEN}, 404, "model_not_found", None),
        (paths.DOWNLOAD, {"model": "nobody"}, 404, "model_not_found", None),
    ],
)
def test_what_is_refused(
    client: Client, path: str, body: object, status: int, kind: str, code: str | None
) -> None:
    answer = client.ask("POST", path, body)

    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error.get("code")) == (kind, code)


def test_a_load_answers_when_it_is_done_and_shows_as_loading_before(
    studio: LMStudio, client: Client
) -> None:
    gate = studio.hold_loads()
    loading = Asking(studio, paths.LOAD, {"model": QWEN})
    studio.wait_request(path=paths.LOAD)

    assert {each["id"]: each["state"] for each in client.get(paths.MODELS_V0)["data"]}[
        QWEN
    ] == "loading"
    assert not any(each["loaded_instances"] for each in client.get(paths.MODELS_V1)["models"])
    gate.step()
    assert loading.answer().json()["instance_id"] == QWEN


def test_a_load_that_fails_leaves_nothing(studio: LMStudio, client: Client) -> None:
    studio.next_load_fails()

    answer = client.ask("POST", paths.LOAD, {"model": QWEN})

    assert answer.status_code == 500
    assert answer.json()["error"]["message"].startswith(
        f'Failed to load model "{QWEN}". Error: Model loading was stopped due to insufficient'
    )
    assert studio.world.instances == []


def test_a_load_is_canceled_by_an_unload(studio: LMStudio) -> None:
    gate = studio.hold_loads()
    loading = Asking(studio, paths.LOAD, {"model": QWEN})
    studio.wait_request(path=paths.LOAD)
    with Client(studio) as client:
        client.post(paths.UNLOAD, {"instance_id": QWEN})
    gate.step()

    assert "Operation canceled." in loading.answer().json()["error"]["message"]


def test_an_instance_is_unloaded_by_its_id(studio: LMStudio, client: Client) -> None:
    studio.load(QWEN)
    studio.load(QWEN)

    assert client.post(paths.UNLOAD, {"instance_id": f"{QWEN}:2"}) == {"instance_id": f"{QWEN}:2"}
    assert [instance.id for instance in studio.world.instances] == [QWEN]


def test_a_download_goes_on_with_the_clock_and_then_the_model_is_there(
    studio: LMStudio, client: Client
) -> None:
    studio.downloads.catalog[GRANITE.key] = GRANITE

    started = client.post(paths.DOWNLOAD, {"model": GRANITE.key})
    status = paths.DOWNLOAD_STATUS + started["job_id"]
    again = client.post(paths.DOWNLOAD, {"model": GRANITE.key})
    studio.clock.advance(10)
    under_way = client.get(status)
    studio.clock.advance(60)
    done = client.get(status)

    assert started == {
        "job_id": started["job_id"],
        "status": "downloading",
        "total_size_bytes": 2279145003,
        "started_at": "2025-10-03T15:33:23.496Z",
    }
    assert again == started
    assert under_way["downloaded_bytes"] == 10 * BYTES_PER_SECOND
    assert under_way["bytes_per_second"] == BYTES_PER_SECOND
    assert under_way["estimated_completion"] == "2025-10-03T15:33:46.287Z"
    assert "completed_at" not in under_way
    assert (done["status"], done["downloaded_bytes"]) == ("completed", 2279145003)
    assert done["completed_at"] == "2025-10-03T15:34:33.496Z"
    assert "bytes_per_second" not in done
    assert client.get(paths.MODELS)["data"][-1]["id"] == GRANITE.key
    assert client.post(paths.DOWNLOAD, {"model": GRANITE.key}) == {"status": "already_downloaded"}


def test_a_download_can_pause_and_fail(studio: LMStudio, client: Client) -> None:
    studio.downloads.catalog[GRANITE.key] = GRANITE
    job_id = client.post(paths.DOWNLOAD, {"model": GRANITE.key})["job_id"]
    status = paths.DOWNLOAD_STATUS + job_id

    studio.clock.advance(1)
    studio.downloads.pause(job_id)
    studio.clock.advance(100)
    paused = client.get(status)
    studio.downloads.resume(job_id)
    studio.clock.advance(1)
    resumed = client.get(status)
    studio.downloads.fail(job_id, "disk full")
    failed = client.get(status)

    assert (paused["status"], paused["downloaded_bytes"]) == ("paused", BYTES_PER_SECOND)
    assert resumed["downloaded_bytes"] == 2 * BYTES_PER_SECOND
    assert (failed["status"], failed["error_message"]) == ("failed", "disk full")


def test_an_unknown_job_is_not_found(client: Client) -> None:
    answer = client.ask("GET", f"{paths.DOWNLOAD_STATUS}job_0")

    assert answer.json()["error"]["type"] == "job_not_found"
