"""Which model answers."""

import pytest
from msgspec.structs import replace

from devsynthd.catalog.choice import (
    Wishes,
    answering_model,
    embedding_model,
    lane_of,
    require_embeds,
    require_listed,
    select,
)
from devsynthd.wire.errors import ModelNotFound, NoModel, NotSupported
from devsynthd.wire.objects import Instance, Model, Selection

LOADED = Model(id="loaded", name="L", kind="llm", loaded=True)
COLD = Model(id="cold", name="C", kind="llm", loaded=False)
PLAIN = Model(id="plain", name="P")  # an OpenAI server tells neither kind nor state
EMBEDDING = Model(id="embed", name="E", kind="embedding", loaded=True)
AUTO = Wishes(selected=None, configured="", auto_select=True, stand_in="local_model")
CONFIGURED = Wishes(selected=None, configured="cold", auto_select=True, stand_in="local_model")
SELECTED = Wishes(selected="loaded", configured="cold", auto_select=True, stand_in="local_model")
MANUAL = Wishes(selected=None, configured="", auto_select=False, stand_in="local_model")


@pytest.mark.parametrize(
    ("models", "wishes", "reachable", "engine", "expected"),
    [
        # Auto-selection: the first loaded chat model, else the first one, never an embedding.
        ([COLD, LOADED], AUTO, True, False, ("loaded", "auto", True)),
        ([EMBEDDING, COLD], AUTO, True, False, ("cold", "auto", True)),
        ([EMBEDDING, PLAIN], AUTO, True, False, ("plain", "auto", True)),
        ([EMBEDDING], AUTO, True, False, (None, "none", None)),
        ([], AUTO, True, True, (None, "none", None)),
        ([COLD], MANUAL, True, False, (None, "none", None)),
        # A named model is never replaced.
        ([COLD, LOADED], CONFIGURED, True, False, ("cold", "configured", True)),
        ([LOADED], CONFIGURED, True, False, ("cold", "configured", False)),
        ([COLD, LOADED], SELECTED, True, False, ("loaded", "selected", True)),
        (None, SELECTED, True, False, ("loaded", "selected", None)),
        ([COLD], CONFIGURED, False, True, ("cold", "configured", False)),
        (None, CONFIGURED, False, True, ("cold", "configured", False)),
        # Nobody there: the engine where it may, else the name that stands for nothing.
        (None, AUTO, False, False, ("local_model", "fallback", False)),
        (None, AUTO, False, True, ("local_model", "fallback", True)),
        ([LOADED], AUTO, False, True, ("local_model", "fallback", True)),
        ([LOADED], AUTO, False, False, ("loaded", "auto", False)),
        ([LOADED], MANUAL, False, True, ("local_model", "fallback", True)),
    ],
)
def test_selection(
    models: list[Model] | None,
    wishes: Wishes,
    reachable: bool,  # noqa: FBT001 - a column of the table
    engine: bool,  # noqa: FBT001
    expected: tuple[str | None, str, bool | None],
) -> None:
    found = select(models, wishes, reachable=reachable, engine=engine)

    assert (found.model, found.how, found.available) == expected
    assert found.reason


def test_without_a_model_the_error_says_why_and_what_to_do() -> None:
    none = Selection(None, "none", available=None, reason="the upstream lists no chat model")

    with pytest.raises(NoModel, match="lists no chat model") as caught:
        answering_model(none, "http://h/v1")

    assert "select" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["qwen/qwen3-4b", "qwen/qwen3-4b:2"])
def test_a_listed_model_or_instance_is_found(name: str) -> None:
    model = Model(id="qwen/qwen3-4b", name="Q", instances=(Instance("qwen/qwen3-4b:2"),))

    require_listed(name, [model], "http://h/v1")


@pytest.mark.parametrize(
    ("name", "near"),
    [("Loaded", ["loaded"]), ("lodaed", ["loaded"]), ("something else entirely", [])],
)
def test_a_missing_model_is_an_error_with_near_matches(name: str, near: list[str]) -> None:
    with pytest.raises(ModelNotFound) as caught:
        require_listed(name, [LOADED, COLD], "http://h/v1")

    assert caught.value.details["near"] == near
    assert "devsynthctl models" in (caught.value.hint or "")
    assert "http://h/v1" in str(caught.value)


@pytest.mark.parametrize(
    ("models", "chosen"),
    [
        ([LOADED, EMBEDDING], "embed"),
        ([replace(EMBEDDING, id="first", loaded=False), EMBEDDING], "embed"),
        ([replace(EMBEDDING, id="first", loaded=None), PLAIN], "first"),
    ],
)
def test_a_loaded_embedding_model_makes_vectors_else_the_first_one(
    models: list[Model], chosen: str
) -> None:
    assert embedding_model(models, "somewhere") == chosen


def test_no_other_model_makes_vectors() -> None:
    with pytest.raises(NoModel, match="somewhere lists no embedding model") as caught:
        embedding_model([LOADED, COLD, PLAIN], "somewhere")
    assert "name one" in (caught.value.hint or "")


def test_a_named_chat_model_makes_no_vectors() -> None:
    with pytest.raises(NotSupported, match="loaded is a chat model") as caught:
        require_embeds(LOADED, "loaded", [LOADED, EMBEDDING])
    assert caught.value.hint == "embedding models: embed"


@pytest.mark.parametrize("model", [EMBEDDING, PLAIN])
def test_what_is_not_known_to_chat_may_make_vectors(model: Model) -> None:
    require_embeds(model, model.id, [LOADED, EMBEDDING, PLAIN])


@pytest.mark.parametrize(
    ("name", "lane"),
    [
        ("cold", "cold"),
        ("twice", "twice"),
        ("twice:2", "twice:2"),
        ("renamed", "other"),
        ("missing", "missing"),
    ],
)
def test_the_first_instance_of_a_model_answers(name: str, lane: str) -> None:
    twice = Model(id="twice", name="T", instances=(Instance("twice"), Instance("twice:2")))
    renamed = Model(id="renamed", name="R", instances=(Instance("other"),))

    assert lane_of(name, [COLD, twice, renamed]) == lane


@pytest.mark.parametrize(
    ("name", "near"), [("Qwen", ["qwen/qwen3-4b"]), ("lodaed", ["loaded"]), ("zzz", [])]
)
def test_near_matches_are_spelled_alike_or_have_the_name_in_them(
    name: str, near: list[str]
) -> None:
    models = [LOADED, Model(id="qwen/qwen3-4b", name="Q")]

    with pytest.raises(ModelNotFound) as caught:
        require_listed(name, models, "somewhere")

    assert caught.value.details["near"] == near


def test_hints_name_models_without_their_control_characters() -> None:
    evil = Model(id="evil\x1b]0;title\x07\n", name="E", kind="embedding")

    with pytest.raises(ModelNotFound) as missing:
        require_listed("evil", [evil], "somewhere")
    with pytest.raises(NotSupported) as chats:
        require_embeds(LOADED, "loaded", [LOADED, evil])

    assert missing.value.details["near"] == [evil.id]
    for hint in (missing.value.hint, chats.value.hint):
        assert hint
        assert "evil" in hint
        assert hint.isprintable()
