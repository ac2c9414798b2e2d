"""LM Studio's own lists of models."""

import time
from typing import Any

import pytest

from devsynthd.upstream.lmstudio_lists import (
    Loaded,
    loaded_of_v0,
    models_of_v0,
    models_of_v1,
    slots_of_v1,
    with_loaded,
)
from devsynthd.wire.objects import Instance, Model

V1_ENTRY: dict[str, Any] = {
    "type": "llm",
    "publisher": "google",
    "key": "google/gemma-4-26b-a4b",
    "display_name": "Gemma 4 26B A4B",
    "architecture": "gemma4",
    "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
    "size_bytes": 17990911801,
    "params_string": "26B-A4B",
    "loaded_instances": [
        {"id": "google/gemma-4-26b-a4b", "config": {"context_length": 8192, "parallel": 4}},
        {"id": "google/gemma-4-26b-a4b:2", "config": {"context_length": 4096}},
    ],
    "max_context_length": 262144,
    "format": "gguf",
    "capabilities": {"vision": True, "trained_for_tool_use": False},
    "variants": ["google/gemma-4-26b-a4b@q4_k_m"],
}
V0_ENTRY: dict[str, Any] = {
    "id": "google/gemma-3-4b",
    "object": "model",
    "type": "vlm",
    "publisher": "google",
    "arch": "gemma3",
    "compatibility_type": "gguf",
    "quantization": "Q4_K_M",
    "state": "loaded",
    "max_context_length": 131072,
    "loaded_context_length": 12918,
    "capabilities": ["tool_use"],
}


def test_v1_tells_everything() -> None:
    (model,) = models_of_v1({"models": [V1_ENTRY]})

    assert model == Model(
        id="google/gemma-4-26b-a4b",
        name="Gemma 4 26B A4B",
        owner="google",
        kind="llm",
        loaded=True,
        instances=(
            Instance("google/gemma-4-26b-a4b", 8192),
            Instance("google/gemma-4-26b-a4b:2", 4096),
        ),
        context_length=4096,  # any instance may answer: the least of them counts
        max_context_length=262144,
        architecture="gemma4",
        quantization="Q4_K_M",
        format="gguf",
        size_bytes=17990911801,
        parameters="26B-A4B",
        vision=True,
        tool_use=False,
    )


def test_an_embedding_model_of_v1_lacks_fields() -> None:
    entry: dict[str, Any] = {
        "type": "embedding",
        "key": "nomic",
        "display_name": "Nomic Embed",
        "quantization": None,
        "params_string": None,
        "loaded_instances": [],
    }

    assert models_of_v1({"models": [entry]}) == (
        Model(id="nomic", name="Nomic Embed", kind="embedding", loaded=False),
    )


def test_v0_tells_less() -> None:
    (model,) = models_of_v0({"data": [V0_ENTRY]})

    assert model == Model(
        id="google/gemma-3-4b",
        name="google/gemma-3-4b",
        owner="google",
        kind="llm",
        loaded=True,
        instances=(Instance("google/gemma-3-4b", 12918),),
        context_length=12918,
        max_context_length=131072,
        architecture="gemma3",
        quantization="Q4_K_M",
        format="gguf",
        vision=True,
        tool_use=True,
    )


@pytest.mark.parametrize(
    ("state", "loaded"),
    [
        ("loaded", True),
        ("not-loaded", False),
        ("loading", False),
        ("resting", None),
        (None, None),
        ([], None),
    ],
)
def test_loaded_has_three_values(state: object, loaded: bool | None) -> None:  # noqa: FBT001 - a column
    (model,) = models_of_v0({"data": [{"id": "m", "type": "llm", "state": state}]})

    assert model.loaded is loaded


def test_entries_of_the_same_key_are_one_model() -> None:
    first = {**V1_ENTRY, "loaded_instances": [], "format": "mlx"}

    (model,) = models_of_v1({"models": [first, V1_ENTRY]})

    assert (model.format, len(model.instances), model.loaded) == ("mlx", 2, True)


def test_numbered_ids_of_v0_are_instances_where_the_model_is_listed() -> None:
    data = [V0_ENTRY, {**V0_ENTRY, "id": "google/gemma-3-4b:2", "loaded_context_length": 4096}]

    (model,) = models_of_v0({"data": data})
    (alone,) = models_of_v0({"data": data[1:]})

    assert [each.id for each in model.instances] == ["google/gemma-3-4b", "google/gemma-3-4b:2"]
    assert model.context_length == 4096
    assert alone.id == "google/gemma-3-4b:2"


@pytest.mark.parametrize(
    "odd",
    [
        {"type": 5},
        {"type": "diffusion"},
        {"quantization": "Q4"},
        {"capabilities": ["vision"]},
        {"loaded_instances": None},
        {"loaded_instances": [{"config": {}}, "x", {"id": 5}]},
        {"display_name": None, "publisher": 7, "size_bytes": "big", "max_context_length": -1},
    ],
)
def test_what_is_odd_stays_unknown(odd: dict[str, Any]) -> None:
    (model,) = models_of_v1({"models": [{"key": "m", "loaded_instances": [], **odd}]})

    assert model == Model(id="m", name="m", loaded=False)


def test_entries_without_a_usable_id_are_left_out() -> None:
    assert models_of_v1({"models": [{"key": ""}, {"key": 1}, {}, None, 5, {"key": "\ud800"}]}) == ()
    assert models_of_v0({"data": [{"id": None}, []]}) == ()


def test_names_are_clean_and_ids_verbatim() -> None:
    (model,) = models_of_v1(
        {"models": [{"key": "a\x1b[31m", "display_name": "\x1b[31mRed\n", "loaded_instances": []}]}
    )

    assert (model.id, model.name) == ("a\x1b[31m", "Red")


@pytest.mark.parametrize(
    ("v0_id", "key", "same"),
    [
        ("a/m", "a/m", True),
        ("a/m:2", "a/m", True),
        ("m", "a/m", True),
        ("a/m", "m", True),
        ("m:3", "a/m", True),
        ("a/m", "b/m", False),
        ("m", "n", False),
        ("m:x", "m", False),
    ],
)
def test_ids_of_v0_are_matched_with_keys_of_v1(v0_id: str, key: str, same: bool) -> None:  # noqa: FBT001 - a column
    models = models_of_v1({"models": [{"key": key, "loaded_instances": []}]})

    assert with_loaded(models, [Loaded(v0_id, None)])[0].loaded is same


def test_of_several_keys_that_an_id_of_v0_may_mean_the_first_is_loaded() -> None:
    keys = ["x", "b/m", "m", "a/m"]
    models = models_of_v1({"models": [{"key": key, "loaded_instances": []} for key in keys]})

    def found(v0_id: str) -> list[str]:
        return [each.id for each in with_loaded(models, [Loaded(v0_id, None)]) if each.loaded]

    assert [found(each) for each in ("m", "m:2", "a/m", "c/m", "/m")] == [
        ["b/m"],
        ["b/m"],
        ["m"],
        ["m"],
        ["b/m"],
    ]


def test_what_v0_reports_as_loaded_is_taken_over() -> None:
    models = models_of_v1(
        {"models": [{**V1_ENTRY, "loaded_instances": []}, {"key": "other", "loaded_instances": []}]}
    )
    loaded = loaded_of_v0(
        {"data": [{"id": "gemma-4-26b-a4b", "state": "loaded", "loaded_context_length": 2048}]}
    )

    first, second = with_loaded(models, loaded)

    assert loaded == (Loaded("gemma-4-26b-a4b", 2048),)
    assert (first.loaded, first.context_length) == (True, 2048)
    assert second.loaded is False


def test_v1_tells_how_many_answers_an_instance_gives_at_a_time() -> None:
    assert slots_of_v1({"models": [V1_ENTRY]}) == {"google/gemma-4-26b-a4b": 4}


@pytest.mark.parametrize("parallel", [None, 0, -1, True, "4", 1.5, [4], {}, 2**60])
def test_slots_that_are_no_count_are_not_known(parallel: object) -> None:
    config = {"context_length": 4096, "parallel": parallel}
    entry = {"key": "a", "loaded_instances": [{"id": "a", "config": config}]}

    assert slots_of_v1({"models": [entry]}) == {}


@pytest.mark.parametrize(
    "value",
    [{}, {"models": None}, {"models": [7, {"key": "a"}, {"key": "b", "loaded_instances": ["c"]}]}],
)
def test_where_nothing_is_told_of_slots_there_are_none(value: dict[str, Any]) -> None:
    assert slots_of_v1(value) == {}


def test_the_loaded_ones_of_a_long_list_are_found_in_no_time() -> None:
    """In a long list each of one API would be compared with each of the other: for minutes."""
    ids = [f"x/{number}" for number in range(20_000)]
    models = models_of_v1({"models": [{"key": id, "loaded_instances": []} for id in ids]})
    started = time.process_time()

    found = with_loaded(models, [Loaded(id, None) for id in reversed(ids)])

    assert all(model.loaded for model in found)
    assert time.process_time() - started < 3
