"""LM Studio's own lists of models, of both generations, and what one says about the other. Pure."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from devsynthd.upstream.entries import count, flag, line, mapping, maps, usable_id
from devsynthd.wire.objects import Instance, Model

_INSTANCE = re.compile(r":\d+$")

Kind = Literal["llm", "embedding", "unknown"]
_KINDS: dict[str, Kind] = {
    "llm": "llm",
    "vlm": "llm",
    "embedding": "embedding",
    "embeddings": "embedding",
}


class Loaded(Struct, frozen=True):
    """One instance that ``/api/v0`` reports as loaded."""

    id: str
    context_length: int | None


def models_of_v1(value: dict[str, Any]) -> tuple[Model, ...]:
    """Return the models of ``GET /api/v1/models``; entries with the same key are one model."""
    return _merged(
        _v1_model(key, entry)
        for entry in maps(value.get("models"))
        if (key := usable_id(entry.get("key")))
    )


def slots_of_v1(value: dict[str, Any]) -> dict[str, int]:
    """Return how many generations each instance in ``GET /api/v1/models`` gives at a time."""
    return {
        name: slots
        for entry in maps(value.get("models"))
        for instance in maps(entry.get("loaded_instances"))
        if (name := usable_id(instance.get("id")))
        and (slots := count(mapping(instance.get("config")).get("parallel")))
    }


def models_of_v0(value: dict[str, Any]) -> tuple[Model, ...]:
    """Return the models of ``GET /api/v0/models``; ``key:2`` is an instance of ``key``."""
    entries = [entry for entry in maps(value.get("data")) if usable_id(entry.get("id"))]
    ids = {str(entry["id"]) for entry in entries}
    return _merged(_v0_model(entry, ids) for entry in entries)


def loaded_of_v0(value: dict[str, Any]) -> tuple[Loaded, ...]:
    """Return what ``GET /api/v0/models`` reports as loaded."""
    return tuple(
        Loaded(name, count(entry.get("loaded_context_length")))
        for entry in maps(value.get("data"))
        if entry.get("state") == "loaded" and (name := usable_id(entry.get("id")))
    )


def with_loaded(models: Sequence[Model], loaded: Iterable[Loaded]) -> tuple[Model, ...]:
    """Return *models* of v1, in which nothing is loaded, with what v0 says is *loaded*."""
    found: dict[str, list[Instance]] = {}
    keys = _Keys(model.id for model in models)
    for instance in loaded:
        if (key := keys.of(instance.id)) is not None:
            found.setdefault(key, []).append(Instance(instance.id, instance.context_length))
    return tuple(
        _with_instances(model, found[model.id]) if model.id in found else model for model in models
    )


class _Keys:
    """The keys of models, to be found by what v0 calls their instances.

    The number of an instance may follow, and the publisher be missing on one side; two publishers
    are two models. Of several, the first is meant.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = list(keys)
        self._whole: dict[str, int] = {}
        self._named: dict[tuple[str, bool], int] = {}  # without publisher; whether it has one
        for position, key in enumerate(self._keys):
            publisher, _, name = key.rpartition("/")
            self._whole.setdefault(key, position)
            self._named.setdefault((name, bool(publisher)), position)

    def of(self, v0_id: str) -> str | None:
        """Return the key of which *v0_id* names an instance."""
        whole = _INSTANCE.sub("", v0_id)
        publisher, _, name = whole.rpartition("/")
        found = (
            self._whole.get(v0_id),
            self._whole.get(whole),
            self._named.get((name, not publisher)),
        )
        first = min((each for each in found if each is not None), default=None)
        return None if first is None else self._keys[first]


def _v1_model(key: str, entry: dict[str, Any]) -> Model:
    capabilities = mapping(entry.get("capabilities"))
    instances = [
        Instance(name, count(mapping(instance.get("config")).get("context_length")))
        for instance in maps(entry.get("loaded_instances"))
        if (name := usable_id(instance.get("id")))
    ]
    model = Model(
        id=key,
        name=line(entry.get("display_name")) or line(key) or "?",
        owner=line(entry.get("publisher")),
        kind=_KINDS.get(str(entry.get("type")), "unknown"),
        loaded=False,
        max_context_length=count(entry.get("max_context_length")),
        architecture=line(entry.get("architecture")),
        quantization=line(mapping(entry.get("quantization")).get("name")),
        format=line(entry.get("format")),
        size_bytes=count(entry.get("size_bytes")),
        parameters=line(entry.get("params_string")),
        vision=flag(capabilities.get("vision")),
        tool_use=flag(capabilities.get("trained_for_tool_use")),
    )
    return _with_instances(model, instances) if instances else model


def _v0_model(entry: dict[str, Any], ids: set[str]) -> Model:
    name: str = entry["id"]
    base = _INSTANCE.sub("", name)
    model_id = base if base in ids else name
    kind = str(entry.get("type"))
    capabilities = entry.get("capabilities")
    state = entry.get("state")
    model = Model(
        id=model_id,
        name=line(model_id) or "?",
        owner=line(entry.get("publisher")),
        kind=_KINDS.get(kind, "unknown"),
        # A state that nobody has heard of is no reason to say that it is not loaded. It may be a
        # list, too, which a set would not take.
        loaded=False if state in ("not-loaded", "loading") else None,
        max_context_length=count(entry.get("max_context_length")),
        architecture=line(entry.get("arch")),
        quantization=line(entry.get("quantization")),
        format=line(entry.get("compatibility_type")),
        vision=True if kind == "vlm" else (False if kind in _KINDS else None),
        tool_use="tool_use" in capabilities if isinstance(capabilities, list) else None,
    )
    if state != "loaded":
        return model
    return _with_instances(model, [Instance(name, count(entry.get("loaded_context_length")))])


def _with_instances(model: Model, instances: Sequence[Instance]) -> Model:
    """Return *model* as loaded; any of its instances may answer, so the least context counts."""
    lengths = [each.context_length for each in instances if each.context_length]
    return replace(
        model,
        loaded=True,
        instances=tuple(instances),
        context_length=min(lengths, default=None),
    )


def _merged(models: Iterable[Model]) -> tuple[Model, ...]:
    """Return *models* with those of the same id made one, in the order of the first."""
    found: dict[str, Model] = {}
    for model in models:
        known = found.get(model.id)
        if known is None:
            found[model.id] = model
        elif instances := (*known.instances, *model.instances):
            found[model.id] = _with_instances(known, instances)
    return tuple(found.values())
