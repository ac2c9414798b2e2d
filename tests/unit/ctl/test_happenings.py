"""Events in words."""

from typing import Any

import msgspec
import pytest

from devsynthctl.render.happenings import happenings
from devsynthd.wire.events import NEWS_TYPES, AnyNews
from devsynthd.wire.requests import Topic
from tests.support.replies import SELECTION, SOURCE, STATUS, model, models

DOWN = SOURCE | {
    "reachable": False,
    "age_s": None,
    "error": {"code": "upstream_timeout", "message": "silent"},
}
OLDER = SOURCE | {"age_s": 99.0, "fetched_at": 1.0}
CONFIG = {"config_generation": 2, "changed": [], "valid": True, "error": None}
(WAITS,) = STATUS["requests"]
TIMING = {"queued_s": 0, "waiting_s": 1, "streaming_s": 1, "total_s": 2.04, "tokens_per_s": None}
ENDED = WAITS | {"position": None, "timing": TIMING}
FAILURE = {"code": "queue_full", "message": "64 wait"}
AT = "lmstudio at http://localhost:1234"
MODEL = "model: qwen/small (auto: the first one that is loaded)"
LOADED = models(model("a", loaded=True), model("b", loaded=False))
OTHER = models(
    model("a", loaded=False), model("b", loaded=True), selection=SELECTION | {"model": None}
)


def data(topic: Topic, told: dict[str, Any]) -> AnyNews:
    return msgspec.convert(told, NEWS_TYPES[topic])


@pytest.mark.parametrize(
    ("topic", "before", "now", "lines"),
    [
        ("upstream", None, SOURCE, [f"upstream: {AT}, reachable, list 2 s old"]),
        ("upstream", SOURCE, OLDER, []),
        ("upstream", SOURCE, DOWN, [f"upstream: {AT}, not reachable (upstream_timeout: silent)"]),
        ("upstream", DOWN, SOURCE, [f"upstream: {AT}, reachable, list 2 s old"]),
        ("models", None, LOADED, [MODEL, "loaded: a"]),
        ("models", LOADED, LOADED, []),
        (
            "models",
            LOADED,
            OTHER,
            [
                "model: none (auto: the first one that is loaded)",
                "loaded: b",
                "no longer loaded: a",
            ],
        ),
        ("config", None, CONFIG, []),
        ("config", None, CONFIG | {"changed": ["a", "b"]}, ["settings changed: a, b"]),
        (
            "config",
            None,
            CONFIG | {"valid": False, "error": "line 3"},
            ["the configuration file is not valid: line 3"],
        ),
        ("requests", None, {"requests": [WAITS]}, []),
        (
            "requests",
            None,
            {"requests": [ENDED | {"state": "done"}]},
            ["#7 generate qwen/small: done in 2.0 s"],
        ),
        (
            "requests",
            None,
            {"requests": [ENDED | {"state": "done", "timing": TIMING | {"tokens_per_s": 9.99}}]},
            ["#7 generate qwen/small: done in 2.0 s, 10.0 tokens/s"],
        ),
        (
            "requests",
            None,
            {"requests": [WAITS | {"state": "cancelled", "model": None}]},
            ["#7 generate: cancelled"],
        ),
        (
            "requests",
            None,
            {"requests": [ENDED | {"state": "failed", "error": FAILURE}]},
            ["#7 generate qwen/small: failed after 2.0 s: queue_full: 64 wait"],
        ),
        ("log", None, {"level": "info", "message": "hi", "fields": {}}, []),
    ],
)
def test_what_an_event_tells(
    topic: Topic, before: dict[str, Any] | None, now: dict[str, Any], lines: list[str]
) -> None:
    known = None if before is None else data(topic, before)
    assert happenings(data(topic, now), known) == lines
