"""The lists, field by field, in the order of LM Studio's samples."""

import json
from dataclasses import replace

from tests.lmstudio import paths
from tests.lmstudio.asking import GEMMA, NOMIC, Client
from tests.lmstudio.models import Model
from tests.lmstudio.studio import LMStudio

GEMMA_3 = Model(
    key="google/gemma-3-4b",
    kind="vlm",
    publisher="google",
    arch="gemma3",
    max_context_length=131072,
)


def test_the_list_of_v1() -> None:
    with LMStudio("openai", ["liquid/lfm2-1.2b", NOMIC]) as studio, Client(studio) as client:
        answer = client.ask("GET", paths.MODELS)

    # No "created", and "data" comes first.
    assert answer.text == json.dumps(
        {
            "data": [
                {"id": "liquid/lfm2-1.2b", "object": "model", "owned_by": "organization_owner"},
                {"id": NOMIC, "object": "model", "owned_by": "organization_owner"},
            ],
            "object": "list",
        }
    )


def test_the_list_of_v0() -> None:
    with LMStudio("v0", [GEMMA_3, NOMIC]) as studio, Client(studio) as client:
        studio.load("google/gemma-3-4b", context_length=12918)
        answer = client.get(paths.MODELS_V0)

    gemma, nomic = answer["data"]
    assert json.dumps(gemma) == json.dumps(
        {
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
    )
    assert nomic["type"] == "embeddings"
    assert nomic["state"] == "not-loaded"
    assert not {"capabilities", "loaded_context_length"} & nomic.keys()


def test_the_list_of_native_v1() -> None:
    with LMStudio("v1", [GEMMA, NOMIC]) as studio, Client(studio) as client:
        studio.load(GEMMA)
        answer = client.ask("GET", paths.MODELS_V1)

    gemma = {
        "type": "llm",
        "publisher": "google",
        "key": GEMMA,
        "display_name": "Gemma 4 26B A4B",
        "architecture": "gemma4",
        "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
        "size_bytes": 17990911801,
        "params_string": "26B-A4B",
        "loaded_instances": [
            {
                "id": GEMMA,
                "config": {
                    "context_length": 4096,
                    "eval_batch_size": 512,
                    "parallel": 4,
                    "flash_attention": True,
                    "num_experts": 8,
                    "offload_kv_cache_to_gpu": True,
                },
            }
        ],
        "max_context_length": 262144,
        "format": "gguf",
        "capabilities": {
            "vision": True,
            "trained_for_tool_use": True,
            "reasoning": {"allowed_options": ["off", "on"], "default": "on"},
        },
        "description": None,
        "variants": [f"{GEMMA}@q4_k_m"],
        "selected_variant": f"{GEMMA}@q4_k_m",
    }
    nomic = {
        "type": "embedding",
        "publisher": "nomic-ai",
        "key": NOMIC,
        "display_name": "Nomic Embed Text v1.5",
        "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
        "size_bytes": 84106624,
        "params_string": None,
        "loaded_instances": [],
        "max_context_length": 2048,
        "format": "gguf",
    }
    assert answer.text == json.dumps({"models": [gemma, nomic]})


def test_a_loaded_embedding_model_has_a_context_and_nothing_else() -> None:
    with LMStudio("v1", [NOMIC]) as studio, Client(studio) as client:
        studio.load(NOMIC)
        (nomic,) = client.get(paths.MODELS_V1)["models"]

    assert nomic["loaded_instances"] == [{"id": NOMIC, "config": {"context_length": 2048}}]


def test_second_instances_are_entries_in_v0_and_inside_an_entry_in_native_v1() -> None:
    with LMStudio("v1", [GEMMA]) as studio, Client(studio) as client:
        studio.load(GEMMA)
        studio.load(GEMMA)
        (entry,) = client.get(paths.MODELS_V1)["models"]
        older = [client.get(path)["data"] for path in (paths.MODELS, paths.MODELS_V0)]

    ids = [GEMMA, f"{GEMMA}:2"]
    assert [instance["id"] for instance in entry["loaded_instances"]] == ids
    assert [[each["id"] for each in entries] for entries in older] == [ids, ids]


def test_a_key_that_is_downloaded_twice_has_two_entries_in_native_v1() -> None:
    mlx = replace(GEMMA_3, format="mlx", quantization=None)
    with LMStudio("v1", [GEMMA_3, mlx]) as studio, Client(studio) as client:
        native = client.get(paths.MODELS_V1)["models"]
        older = client.get(paths.MODELS)["data"]

    assert [entry["key"] for entry in native] == [GEMMA_3.key, GEMMA_3.key]
    assert native[1]["quantization"] is None
    assert len(older) == 1


def test_without_jit_the_older_lists_shrink_and_perhaps_the_newest(
    studio: LMStudio, client: Client
) -> None:
    studio.load(GEMMA)
    studio.settings.jit = False

    assert [entry["id"] for entry in client.get(paths.MODELS)["data"]] == [GEMMA]
    assert [entry["id"] for entry in client.get(paths.MODELS_V0)["data"]] == [GEMMA]
    assert len(client.get(paths.MODELS_V1)["models"]) == 4
    studio.quirks.v1_list_shrinks = True
    assert len(client.get(paths.MODELS_V1)["models"]) == 1


def test_native_v1_may_hide_what_v0_shows(studio: LMStudio, client: Client) -> None:
    studio.load(GEMMA)
    studio.quirks.hides_loaded_instances = True

    assert not any(each["loaded_instances"] for each in client.get(paths.MODELS_V1)["models"])
    assert client.get(paths.MODELS_V0)["data"][0]["state"] == "loaded"


def test_one_model_of_v0(studio: LMStudio, client: Client) -> None:
    studio.load(GEMMA)

    assert client.get(f"{paths.MODELS_V0}/{GEMMA}") == client.get(paths.MODELS_V0)["data"][0]
    assert client.ask("GET", f"{paths.MODELS_V0}/nobody").status_code == 404
