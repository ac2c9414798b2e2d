"""What the benchmark's upstream says is what LM Studio would."""

import pytest

from devsynthd.upstream.chunks import ChunkDecoder
from devsynthd.upstream.events import EventParser
from devsynthd.upstream.lmstudio_lists import models_of_v1, slots_of_v1
from tests.bench.answers import (
    FAST,
    INSTANT,
    SLOW,
    list_at,
    pace_of,
    paced,
    split_path,
    whole_answer,
)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("/api/v1/models", (20, "/api/v1/models")),
        ("/models-3/api/v1/models", (3, "/api/v1/models")),
        ("/models-x/v1/models", (20, "/models-x/v1/models")),
    ],
)
def test_the_prefix_tells_how_many_models_there_are(path: str, split: tuple[int, str]) -> None:
    assert split_path(path) == split


@pytest.mark.parametrize("count", [1, 2, 20, 2000])
def test_so_many_models_are_listed_and_the_first_is_loaded(count: int) -> None:
    listed = list_at("/api/v1/models", count)

    models = models_of_v1(listed)
    assert len({model.id for model in models}) == count
    assert [model.id for model in models if model.loaded] == [INSTANT]
    assert slots_of_v1(listed) == {}  # so that nothing but the daemon's own limit holds


def test_other_paths_are_unknown_as_in_lm_studio() -> None:
    assert list_at("/api/v0/models", 20)["error"].startswith("Unexpected endpoint or method")


@pytest.mark.parametrize(("model", "pace"), [(paced(FAST), FAST), (paced(SLOW), SLOW)])
def test_the_model_tells_the_pace(model: str, pace: int) -> None:
    assert pace_of(model) == pace
    assert pace_of(INSTANT) is None


def test_an_answer_is_a_stream_of_its_tokens() -> None:
    decoder = ChunkDecoder()
    body = decoder.feed(whole_answer(INSTANT, 3))

    assert decoder.done
    events = [event.data for event in EventParser().feed(body)]
    assert len(events) == 3 + 3  # the reason to finish, the usage and the end follow
    assert b'"content": " 2"' in events[2]
    assert events[-1] == b"[DONE]"
