"""``download``: followed until it is there, or somebody pauses it, or it fails."""

from collections.abc import Callable, Iterator

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import ModelNotFound, UpstreamError
from devsynthd.wire.replies import Progress
from tests.lmstudio import LMStudio, Model, paths
from tests.lmstudio.downloads import BYTES_PER_SECOND
from tests.service.lmstudio.asking import QWEN, ids, model_in

NEW = "mistral/new-7b"
SIZE_BYTES = 10 * BYTES_PER_SECOND


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    """Return LM Studio with one model, and another one to be had in ten seconds of its clock."""
    with LMStudio("v1", [QWEN]) as studio:
        studio.downloads.catalog[NEW] = Model(key=NEW, size_bytes=SIZE_BYTES)
        yield studio


def test_fractions_until_it_is_there(client: Client, studio: LMStudio) -> None:
    told: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        studio.clock.advance(5)

    outcome = client.download(NEW, on_progress=on_progress)

    assert (outcome.model, outcome.status, outcome.size_bytes) == (NEW, "completed", SIZE_BYTES)
    assert [(each.state, each.fraction) for each in told] == [
        ("downloading", None),
        ("downloading", 0.5),
    ]
    assert model_in(client.list(), NEW).loaded is False
    assert studio.requests(path=paths.LOAD) == []


def on_first(act: Callable[[], None]) -> Callable[[Progress], None]:
    """Return what does *act* when the first progress is told."""
    left = [act]

    def on_progress(_: Progress) -> None:
        if left:
            left.pop()()

    return on_progress


def test_paused_download_is_not_waited_for(client: Client, studio: LMStudio) -> None:
    pause = on_first(lambda: studio.downloads.pause(studio.downloads.jobs[0].id))

    outcome = client.download(NEW, on_progress=pause)

    assert outcome.status == "paused"
    assert ids(client.list()) == [QWEN]


def test_failed_download_is_told_in_the_words_of_lm_studio(
    client: Client, studio: LMStudio
) -> None:
    def fail() -> None:
        studio.downloads.fail(studio.downloads.jobs[0].id, "No space left on device")

    with pytest.raises(UpstreamError, match="No space left on device") as caught:
        client.download(NEW, on_progress=on_first(fail))

    assert NEW in str(caught.value)
    assert studio.url in str(caught.value)
    assert "disk" in (caught.value.hint or "")
    assert client.generate("x").model == QWEN


def test_model_that_is_there_is_not_downloaded_again(client: Client, studio: LMStudio) -> None:
    assert client.download(QWEN).status == "already_downloaded"
    assert studio.downloads.jobs == []


def test_quantization_is_passed_on(client: Client, studio: LMStudio) -> None:
    client.download(QWEN, quantization="Q8_0")

    (request,) = studio.requests(path=paths.DOWNLOAD)
    assert request.body == {"model": QWEN, "quantization": "Q8_0"}


def test_model_that_nobody_knows(client: Client) -> None:
    with pytest.raises(ModelNotFound, match="nobody/knows"):
        client.download("nobody/knows")
