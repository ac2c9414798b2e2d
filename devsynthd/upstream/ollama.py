"""Ollama: its OpenAI-compatible list tells what is installed, ``/api/ps`` what is loaded. Pure."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from msgspec.structs import replace

from devsynthd.upstream.entries import count, maps, usable_id
from devsynthd.upstream.failures import has_error, loads
from devsynthd.upstream.lists import Body
from devsynthd.wire.objects import Instance, Model

VERSION_PATH = "/api/version"
LOADED_PATH = "/api/ps"


def may_be(models: Sequence[Model]) -> bool:
    """Return whether *models* look like Ollama's: each id has a tag, and no state is told."""
    return bool(models) and all(":" in model.id and model.loaded is None for model in models)


def is_ollama(body: Body) -> bool:
    """Return whether *body* is what Ollama answers to ``VERSION_PATH``."""
    value = loads(body.data)
    return (
        body.status == HTTPStatus.OK
        and isinstance(value, dict)
        and isinstance(value.get("version"), str)
        and not has_error(value)
    )


def with_loaded(models: Sequence[Model], body: Body) -> tuple[Model, ...]:
    """Return *models* with what *body*, the answer to ``LOADED_PATH``, says is in memory.

    An answer that is no list leaves it unknown.
    """
    value = loads(body.data)
    if body.status != HTTPStatus.OK or not isinstance(value, dict) or has_error(value):
        return tuple(models)
    loaded = {
        name: count(entry.get("context_length"))
        for entry in maps(value.get("models"))
        for key in ("name", "model")
        if (name := usable_id(entry.get(key)))
    }
    return tuple(_marked(model, loaded) for model in models)


def _marked(model: Model, loaded: dict[str, Any]) -> Model:
    if model.id not in loaded:
        return replace(model, loaded=False)
    length = loaded[model.id]
    instance = Instance(model.id, length)
    return replace(model, loaded=True, instances=(instance,), context_length=length)
