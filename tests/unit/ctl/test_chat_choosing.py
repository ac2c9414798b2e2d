"""Which model a person means, of those that are listed."""

from typing import Any

import msgspec
import pytest

from devsynthctl.chat.choosing import named, names, overview
from devsynthd.wire.errors import DevsynthError, ModelNotFound, UpstreamUnavailable
from devsynthd.wire.results import Models
from tests.support.replies import SELECTION, SOURCE, model, models


def listing(*entries: dict[str, Any], **fields: object) -> Models:
    return msgspec.convert(models(*entries, **fields), Models)


LISTING = listing(
    model("qwen/small", loaded=True, instances=[{"id": "qwen/small:2"}]),
    model("e", kind="embedding"),
    model("qwen/large", kind="unknown"),
    model("7"),
)


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        ("qwen/large", "qwen/large"),
        ("qwen/small:2", "qwen/small:2"),
        ("1", "qwen/small"),
        ("2", "qwen/large"),
        ("7", "7"),
    ],
)
def test_an_id_an_instance_or_a_number_is_a_model(answer: str, meant: str) -> None:
    assert named(answer, LISTING) == meant


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ("qwen/smal", "did you mean qwen/small"),
        ("QWEN/LARGE", "/model lists them"),
        ("e", "/model lists them"),
        ("4", "/model lists them"),
        ("0", "/model lists them"),
    ],
)
def test_what_is_not_listed_is_told_with_what_is_alike(answer: str, hint: str) -> None:
    with pytest.raises(ModelNotFound, match=f"model {answer} is not .*localhost:1234") as refused:
        named(answer, LISTING)
    assert hint in (refused.value.hint or "")
    assert "nothing has changed" in (refused.value.hint or "")


def test_where_nothing_is_listed_the_reason_is_told() -> None:
    failure = {"code": "upstream_unavailable", "message": "nobody listens there"}
    warning = {"code": "fallback", "message": "local_model stands for it"}
    down = listing(
        model("local_model"),
        source=SOURCE | {"reachable": False, "error": failure},
        warnings=[warning],
    )
    with pytest.raises(UpstreamUnavailable, match="nobody listens there") as refused:
        named("qwen/small", down)
    assert "devsynthctl status" in (refused.value.hint or "")
    assert named("local_model", down) == "local_model"


def test_a_stale_list_is_chosen_from() -> None:
    failure = {"code": "upstream_unavailable", "message": "nobody listens there"}
    stale = listing(model("a"), source=SOURCE | {"stale": True, "error": failure})
    assert named("a", stale) == "a"
    with pytest.raises(DevsynthError, match="the model b is not"):
        named("b", stale)


def test_the_overview_marks_who_answers() -> None:
    assert overview(LISTING, None) == [
        "qwen/small (auto: the first one that is loaded)",
        "* 1  qwen/small  (loaded)",
        "  2  qwen/large",
        "  3  7",
    ]
    assert overview(LISTING, "qwen/large") == [
        "qwen/large",
        "  1  qwen/small  (loaded)",
        "* 2  qwen/large",
        "  3  7",
    ]
    nobody = listing(selection=SELECTION | {"model": None, "how": "none", "reason": "none listed"})
    assert overview(nobody, None) == ["no model (none: none listed)"]


def test_embedding_models_are_not_completed() -> None:
    assert names(LISTING) == ["qwen/small", "qwen/large", "7"]
