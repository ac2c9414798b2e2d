"""The list of models as each generation of LM Studio tells it."""

import time

import pytest

from devsynthd.upstream.entries import MAX_MODELS
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Instance
from tests.lmstudio import LMStudio, Model, faults, paths
from tests.lmstudio.asking import GEMMA, NOMIC, QWEN
from tests.lmstudio.paths import GENERATIONS, Generation
from tests.lmstudio.world import Settings
from tests.support.upstream_replies import status
from tests.upstream.asker import lmstudio


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_name_an_owner_and_a_kind(generation: Generation) -> None:
    """F20, F23: ``/v1/models`` has neither kinds nor ``created``; no kind is guessed by the name.

    R4, R5: an embedding model of v1 has no capabilities.
    """
    with LMStudio(generation, [GEMMA, QWEN, NOMIC]) as studio, lmstudio(studio.url) as asker:
        models = asker.models()

    assert list(models) == [GEMMA, QWEN, NOMIC]
    if generation == "openai":
        assert {model.kind for model in models.values()} == {"unknown"}
        assert {model.owner for model in models.values()} == {"organization_owner"}
        assert {model.name for model in models.values()} == {GEMMA, QWEN, NOMIC}
        return
    assert [model.kind for model in models.values()] == ["llm", "llm", "embedding"]
    assert [model.owner for model in models.values()] == ["google", "qwen", "nomic-ai"]
    assert (models[GEMMA].vision, models[NOMIC].vision) == (
        True,
        None if generation == "v1" else False,
    )
    assert (models[QWEN].tool_use, models[NOMIC].tool_use) == (True, None)
    assert models[QWEN].quantization == "Q4_K_M"
    assert models[QWEN].max_context_length == 32768
    if generation == "v1":
        assert [model.name for model in models.values()] == [
            "Gemma 4 26B A4B",
            "Qwen3 4B",
            "Nomic Embed Text v1.5",
        ]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_server_without_models_is_a_server(generation: Generation) -> None:
    """F30: no models is neither an error nor an older generation."""
    apis = {"v1": "lmstudio-v1", "v0": "lmstudio-v0", "openai": "openai"}
    with LMStudio(generation, []) as studio, lmstudio(studio.url) as asker:
        listing = asker.poll()

    assert (listing.api, listing.models) == (apis[generation], ())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_v1_tells_how_many_answers_each_instance_gives_at_a_time(generation: Generation) -> None:
    """R11: the others do not tell."""
    with LMStudio(generation, [GEMMA, QWEN]) as studio, lmstudio(studio.url) as asker:
        assert asker.poll().slots == {}
        studio.load(QWEN)
        studio.load(QWEN)

        expected = {QWEN: 4, f"{QWEN}:2": 4} if generation == "v1" else {}
        assert asker.poll().slots == expected


@pytest.mark.parametrize("generation", ["v1", "v0"])
def test_the_instances_of_a_model_are_one_entry(generation: Generation) -> None:
    """F6, F32, R4, R5: any of them may answer, so the least context counts."""
    with LMStudio(generation, [QWEN, NOMIC]) as studio, lmstudio(studio.url) as asker:
        for context_length in (8192, 4096, 16384):
            studio.load(QWEN, context_length=context_length)
        models = asker.models()

    assert list(models) == [QWEN, NOMIC]
    assert models[QWEN].instances == (
        Instance(QWEN, 8192),
        Instance(f"{QWEN}:2", 4096),
        Instance(f"{QWEN}:3", 16384),
    )
    assert (models[QWEN].loaded, models[QWEN].context_length) == (True, 4096)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_key_that_is_there_twice_is_one_model(generation: Generation) -> None:
    """R4: one format or quantization may be loaded and the other not."""
    twice = [Model(key="a", format="gguf"), Model(key="a", format="mlx"), Model(key="b")]
    with LMStudio(generation, twice) as studio, lmstudio(studio.url) as asker:
        assert list(asker.models()) == ["a", "b"]
        studio.load("a")

        listing = asker.poll()
    assert [model.id for model in listing.models] == ["a", "b"]
    assert listing.models[0].loaded is (None if generation == "openai" else True)


@pytest.mark.parametrize("generation", ["v1", "v0"])
def test_ids_are_kept_as_they_are(generation: Generation) -> None:
    """R4: opaque, with their case, slashes, spaces and colons."""
    keys = ["Publisher/Model-7B", "publisher/model-7b", "a b", "c@q4_k_m", "d:latest"]
    with LMStudio(generation, keys) as studio, lmstudio(studio.url) as asker:
        assert list(asker.models()) == keys


@pytest.mark.parametrize(
    ("generation", "v1_list_shrinks", "left"),
    [
        ("v1", False, {GEMMA: False, QWEN: True, NOMIC: False}),
        ("v1", True, {QWEN: True}),
        ("v0", False, {QWEN: True}),
        ("openai", False, {QWEN: None}),
    ],
)
def test_a_setting_shrinks_the_list(
    generation: Generation,
    v1_list_shrinks: bool,  # noqa: FBT001 - a column
    left: dict[str, bool | None],
) -> None:
    """F21: without loading just in time the older lists show what is loaded, and nothing else."""
    with LMStudio(generation, [GEMMA, QWEN, NOMIC]) as studio, lmstudio(studio.url) as asker:
        studio.quirks.v1_list_shrinks = v1_list_shrinks
        studio.load(QWEN)
        assert list(asker.models()) == [GEMMA, QWEN, NOMIC]
        studio.settings.jit = False
        assert asker.loaded() == left
        studio.settings.jit = True
        assert list(asker.models()) == [GEMMA, QWEN, NOMIC]


def test_the_list_follows_what_is_loaded() -> None:
    """F28: models that are loaded just in time come and go; loaded explicitly they stay."""
    with LMStudio("v1", [GEMMA, QWEN]) as studio, lmstudio(studio.url) as asker:
        studio.load(GEMMA)
        asker.ask(QWEN)
        assert asker.loaded() == {GEMMA: True, QWEN: True}
        studio.clock.advance(studio.settings.ttl_s)
        assert asker.loaded() == {GEMMA: True, QWEN: False}


@pytest.mark.parametrize(("generation", "loaded"), [("v1", False), ("v0", False), ("openai", None)])
def test_a_model_that_is_being_loaded_is_not_loaded(
    generation: Generation,
    loaded: bool | None,  # noqa: FBT001 - a column
) -> None:
    """R5, F28: three values, and unknown is not false."""
    with LMStudio(generation, [QWEN]) as studio, lmstudio(studio.url) as asker:
        studio.world.begin_load(studio.world.models[0])

        assert asker.loaded() == {QWEN: loaded}


@pytest.mark.parametrize("generation", ["v1", "v0"])
def test_the_context_that_counts_is_the_one_that_was_got(generation: Generation) -> None:
    """F32: the engine cuts what was asked for without a word."""
    settings = Settings(context_cap=4864)
    with (
        LMStudio(generation, [QWEN], settings=settings) as studio,
        lmstudio(studio.url) as asker,
    ):
        studio.load(QWEN, context_length=16384)

        assert asker.models()[QWEN].context_length == 4864


UNHEARD_OF = {
    "type": "speech",
    "key": "new",
    "display_name": 7,
    "publisher": None,
    "quantization": "not an object",
    "loaded_instances": [{"id": "new", "config": "none"}, {"no": "id"}, 3],
    "capabilities": ["a list"],
    "size_bytes": -1,
    "more": {"than": "known"},
}


def test_an_odd_entry_costs_what_is_odd_in_it() -> None:
    """R4: unknown words are kept out, missing fields unknown, more fields ignored."""
    entries = [UNHEARD_OF, {"key": QWEN, "loaded_instances": []}]
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(
            faults.instead(status(200, {"models": entries, "more": 1})), path=paths.MODELS_V1
        )
        models = asker.models()

    assert (models["new"].kind, models["new"].name, models["new"].loaded) == (
        "unknown",
        "new",
        True,
    )
    assert models["new"].size_bytes is models["new"].context_length is None
    assert models[QWEN].loaded is False


@pytest.mark.parametrize(
    "answer",
    [
        {"models": {"not": "a list"}},
        {"models": [{"name": "ollama"}]},
        {"models": [], "error": "half an answer"},
        {},
        [],
    ],
)
def test_what_is_no_list_is_no_empty_list(answer: object) -> None:
    """F1, R1, R3: status 200 or not."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        asker.poll()
        studio.next_fault(faults.instead(status(200, answer)), path=paths.MODELS_V1)

        assert asker.no_list().code is ErrorCode.UPSTREAM_ERROR


@pytest.mark.parametrize("generation", GENERATIONS)
def test_ten_thousand_models_are_listed_in_no_time(generation: Generation) -> None:
    keys = [f"publisher/model-{number}" for number in range(10_000)]
    with LMStudio(generation, keys) as studio, lmstudio(studio.url) as asker:
        studio.load(keys[-1])
        asker.poll()
        started = time.monotonic()
        models = asker.models()
        took_s = time.monotonic() - started

    assert list(models) == keys
    assert took_s < 2


@pytest.mark.parametrize(
    ("generation", "path", "key", "entry"),
    [
        ("v1", paths.MODELS_V1, "models", b'{"key":"%d","loaded_instances":[]}'),
        ("v0", paths.MODELS_V0, "data", b'{"id":"%d","state":"not-loaded"}'),
    ],
)
def test_a_list_has_a_greatest_length(
    generation: Generation, path: str, key: str, entry: bytes
) -> None:
    entries = b",".join(entry % number for number in range(MAX_MODELS + 1))
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        asker.poll()
        answer = b'{"%b":[%b]}' % (key.encode(), entries)
        studio.next_fault(faults.instead(status(200, answer)), path=path)

        assert f"more than {MAX_MODELS} are not taken" in str(asker.no_list())
