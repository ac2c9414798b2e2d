"""The three lists of models: one question, three answers.

=================== ============== ================================ ==============================
                    ``/v1/models``  ``/api/v0/models``               ``/api/v1/models``
=================== ============== ================================ ==============================
envelope            ``data``       ``data``                         ``models``
name                ``id``         ``id``                           ``key``
kind                -              ``llm``, ``vlm``, ``embeddings`` ``llm``, ``embedding``
loaded              -              ``state``                        ``loaded_instances`` not empty
context in use      -              ``loaded_context_length``        in the instance's ``config``
quantization        -              a text                           an object, or null
a second instance   one more entry one more entry, ``key:2``        one more in the same entry
=================== ============== ================================ ==============================

The keys stand in the order of LM Studio's own samples, which puts ``data`` before ``object``.
"""

from typing import Any

from tests.lmstudio.models import Instance, Model
from tests.lmstudio.quirks import Quirks
from tests.lmstudio.world import World

Entry = dict[str, Any]


def openai_list(world: World) -> Entry:
    """Return ``/v1/models``: names only. OpenAI's ``created`` is missing."""
    entries = [
        {"id": _id(model, instance), "object": "model", "owned_by": "organization_owner"}
        for model, instance in world.listed()
    ]
    return {"data": entries, "object": "list"}


def v0_list(world: World) -> Entry:
    """Return ``/api/v0/models``."""
    entries = [v0_entry(model, instance) for model, instance in world.listed()]
    return {"data": entries, "object": "list"}


def v0_entry(model: Model, instance: Instance | None) -> Entry:
    """Return one model or instance as ``/api/v0`` shows it; unknown fields are left out."""
    entry: Entry = {
        "id": _id(model, instance),
        "object": "model",
        "type": "embeddings" if model.embeds else model.kind,
        "publisher": model.publisher,
        "arch": model.arch,
        "compatibility_type": model.format,
        "quantization": model.quantization,
        "state": _state(instance),
        "max_context_length": model.max_context_length,
    }
    if instance is not None and instance.ready:
        entry["loaded_context_length"] = instance.config.context_length
    if not model.embeds:
        entry["capabilities"] = ["tool_use"] if model.tool_use else []
    return {key: value for key, value in entry.items() if value is not None}


def v1_list(world: World, quirks: Quirks) -> Entry:
    """Return ``/api/v1/models``: each downloaded model, and in it its instances."""
    entries = []
    for model in world.models:
        own = [each for each in world.instances if each.model is model and each.ready]
        if own or world.settings.jit or not quirks.v1_list_shrinks:
            entries.append(_v1_entry(model, [] if quirks.hides_loaded_instances else own))
    return {"models": entries}


def load_config(instance: Instance) -> Entry:
    """Return how *instance* was loaded, as the answer to a load echoes it."""
    config = instance.config
    if instance.model.embeds:
        return {"context_length": config.context_length}
    echo: Entry = {
        "context_length": config.context_length,
        "eval_batch_size": config.eval_batch_size,
        "flash_attention": config.flash_attention,
        "offload_kv_cache_to_gpu": config.offload_kv_cache_to_gpu,
    }
    if config.num_experts is not None:  # a mixture of experts, that is
        echo["num_experts"] = config.num_experts
    return echo


def _v1_entry(model: Model, instances: list[Instance]) -> Entry:
    name, bits = model.quantization, model.bits_per_weight
    entry: Entry = {
        "type": "embedding" if model.embeds else "llm",
        "publisher": model.publisher,
        "key": model.key,
        "display_name": model.display_name,
    }
    if not model.embeds:
        entry["architecture"] = model.arch
    entry |= {
        "quantization": None if name is None else {"name": name, "bits_per_weight": bits},
        "size_bytes": model.size_bytes,
        "params_string": model.params,
        "loaded_instances": [{"id": each.id, "config": _v1_config(each)} for each in instances],
        "max_context_length": model.max_context_length,
        "format": model.format,
    }
    if not model.embeds:
        entry |= {"capabilities": _v1_capabilities(model), "description": None}
    if model.variants:
        entry |= {"variants": list(model.variants), "selected_variant": model.variants[0]}
    return entry


def _v1_capabilities(model: Model) -> Entry:
    capabilities: Entry = {
        "vision": model.kind == "vlm",
        "trained_for_tool_use": model.tool_use,
    }
    if model.reasoning:
        options = list(model.reasoning)
        capabilities["reasoning"] = {"allowed_options": options, "default": options[-1]}
    return capabilities


def _v1_config(instance: Instance) -> Entry:
    config = load_config(instance)
    if instance.model.embeds:
        return config
    order = ["context_length", "eval_batch_size", "parallel", "flash_attention", "num_experts"]
    config["parallel"] = instance.config.parallel
    return {key: config[key] for key in [*order, "offload_kv_cache_to_gpu"] if key in config}


def _id(model: Model, instance: Instance | None) -> str:
    return model.key if instance is None else instance.id


def _state(instance: Instance | None) -> str:
    if instance is None:
        return "not-loaded"
    return "loaded" if instance.ready else "loading"
