"""The list of models, as rows of a table. Pure."""

from collections.abc import Iterable, Sequence

from devsynthd.wire.objects import Model

COLUMNS = ("id", "name", "owner", "kind", "state", "context", "quantization", "selected")

NAME_COLUMNS = ("id", "name", "owner")
"""Those that tell a person which model it is; their text may be of any length."""

_STATES = {True: "loaded", False: "not loaded", None: "unknown"}


def row(model: Model) -> tuple[str, ...]:
    """Return the cells of *model*, in the order of `COLUMNS`.

    The context is that of the loaded instance, else the longest possible one, in tokens.
    """
    context = model.context_length or model.max_context_length
    return (
        model.id,
        model.name,
        model.owner or "",
        model.kind,
        _STATES[model.loaded],
        str(context or ""),
        model.quantization or "",
        "*" if model.selected else "",
    )


def menu(models: Sequence[Model]) -> list[str]:
    """Return a numbered line a model, for a person to choose from; the selected one is marked."""
    width = len(str(len(models)))
    return [
        f"{'*' if model.selected else ' '} {number:>{width}}  {model.id}"
        + (f"  ({_STATES[model.loaded]})" if model.loaded is not None else "")
        for number, model in enumerate(models, 1)
    ]


def choice(answer: str, ids: Sequence[str]) -> str | None:
    """Return the one of *ids* that *answer* is, or numbers from 1; null if it is neither."""
    if answer in ids:
        return answer
    if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(ids):
        return ids[int(answer) - 1]
    return None


def chat_models(models: Iterable[Model]) -> list[Model]:
    """Return those that can be selected to chat with."""
    return [model for model in models if model.kind != "embedding"]
