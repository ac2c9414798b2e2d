"""The one line that a service manager shows of the daemon."""

from typing import Any

import pytest

from devsynthd.service.summary import summary
from devsynthd.wire.objects import Failure, Model, Selection, Source

MODELS = (Model(id="a", name="a", loaded=True), Model(id="b", name="b", loaded=None))
BY_ITSELF = Selection("a", "auto", available=True, reason="the first loaded chat model")
NONE_YET = Selection("local_model", "fallback", available=False, reason="nothing could be listed")
UNNAMED = Selection(None, "none", available=None, reason="no model is named")
REFUSED = Failure("upstream_unavailable", "cannot reach it: connection refused")


def source(**other: Any) -> Source:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {
        "provider": "lmstudio",
        "api_base": "http://localhost:1234",
        "api": None,
        "reachable": True,
        "fetched_at": None,
        "age_s": None,
        "stale": False,
        "error": None,
    }
    return Source(**{**fields, **other})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            (source(), MODELS, BY_ITSELF),
            "LM Studio at http://localhost:1234: 2 models, 1 loaded; a answers",
        ),
        (
            (source(provider="openai"), MODELS[:1], UNNAMED),
            (
                "the OpenAI-compatible server at http://localhost:1234: 1 model, 1 loaded; "
                "no model answers: no model is named"
            ),
        ),
        (
            (source(reachable=False), None, NONE_YET),
            (
                "LM Studio at http://localhost:1234 has not answered yet; "
                "no model answers: nothing could be listed"
            ),
        ),
        (
            (source(reachable=False, error=REFUSED), MODELS, NONE_YET),
            "LM Studio: cannot reach it: connection refused; no model answers",
        ),
        (
            (source(error=REFUSED), MODELS, BY_ITSELF),
            ("LM Studio does not list its models: cannot reach it: connection refused; a answers"),
        ),
        (
            (source(provider="embedded", api_base="embedded"), MODELS, BY_ITSELF),
            "the embedded engine: 2 models, 1 loaded; a answers",
        ),
    ],
)
def test_it_says_who_is_asked_and_what_answers(
    told: tuple[Source, tuple[Model, ...] | None, Selection], expected: str
) -> None:
    assert summary(*told) == expected
