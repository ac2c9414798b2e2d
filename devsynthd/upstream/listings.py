"""What a plain OpenAI-compatible server says of its models."""

from typing import Any

import msgspec

from devsynthd.upstream.base import Listing
from devsynthd.upstream.entries import check_count, count, line, mapping, usable_id
from devsynthd.upstream.failures import failure_of, has_error, loads
from devsynthd.wire.objects import Instance, Model


def listing_of(
    status: int, content_type: str, body: bytes, *, address: str, secrets: tuple[str, ...] = ()
) -> Listing:
    """Return the models in the answer *body* to ``GET /models``.

    LM Studio, llama-server, vLLM, Ollama and others are understood; what is missing or odd in an
    entry stays unknown, an entry without an id is left out, entries with the same id are one.

    Raises:
        DevsynthError: It is an error, no list, or too long a one.
    """
    value = loads(body)
    entries = value.get("data") if isinstance(value, dict) else None
    if entries is None and isinstance(value, dict) and value.get("object") == "list":
        entries = []  # an Ollama without models
    if status >= 300 or has_error(value) or not isinstance(entries, list):  # noqa: PLR2004 - HTTP
        raise failure_of(status, content_type, body, address=address, secrets=secrets)
    check_count(entries, address)
    models: dict[str, Model] = {}
    for entry in entries:
        if isinstance(entry, dict) and (model_id := usable_id(entry.get("id"))):
            model = _model(model_id, entry)
            known = models.get(model.id)
            models[model.id] = model if known is None else _merged(known, model)
    return Listing(api="openai", models=tuple(models.values()))


def _model(model_id: str, entry: dict[str, Any]) -> Model:
    meta = mapping(entry.get("meta"))
    owner = line(entry.get("owned_by"))
    loaded = _is_loaded(entry, owner)
    served = count(entry.get("max_model_len"))  # vLLM's word for it
    context_length = count(meta.get("n_ctx")) or served
    parameters = count(meta.get("n_params"))
    return Model(
        id=model_id,
        name=line(entry.get("name")) or line(model_id) or "?",
        owner=owner,
        loaded=loaded,
        instances=(Instance(model_id, context_length),) if loaded else (),
        context_length=context_length if loaded else None,
        max_context_length=count(meta.get("n_ctx_train")) or served,
        size_bytes=count(meta.get("size")),
        parameters=None if parameters is None else short_count(parameters),
        vision=_sees(entry),
    )


def _is_loaded(entry: dict[str, Any], owner: str | None) -> bool | None:
    """Whether the model is in memory; most servers list what they could load and do not say."""
    state = mapping(entry.get("status")).get("value")  # llama-server as a router
    if isinstance(state, str):
        return state == "loaded"
    return True if owner in {"llamacpp", "vllm"} else None


def _sees(entry: dict[str, Any]) -> bool | None:
    inputs = mapping(entry.get("architecture")).get("input_modalities")
    return "image" in inputs if isinstance(inputs, list) else None


def _merged(known: Model, other: Model) -> Model:
    """Return *known* with what only *other* tells."""
    told = {
        field: getattr(other, field)
        for field in other.__struct_fields__
        if getattr(known, field) in (None, ()) and getattr(other, field) is not None
    }
    return msgspec.structs.replace(known, **told)


def short_count(number: int) -> str:
    """Return *number* as people write sizes of models: 135M, 1.2B, 70B."""
    for unit, name in ((10**9, "B"), (10**6, "M")):
        if number >= unit:
            amount = number / unit
            return f"{amount:.1f}{name}" if amount < 10 else f"{amount:.0f}{name}"  # noqa: PLR2004 - digits
    return str(number)
