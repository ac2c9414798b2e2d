"""The list of models, as rows of a table. Pure."""

import re
from collections.abc import Iterable, Sequence

from devsynthd.wire.objects import Api, Model, Selection, Source

COLUMNS = ("id", "name", "owner", "kind", "state", "context", "quantization", "selected")

NAME_COLUMNS = ("id", "name", "owner")
"""Those that tell a person which model it is; their text may be of any length."""

_STATE = COLUMNS.index("state")
_SEPARATORS = re.compile(r"[\W_]+")
_SHORT_NAME = 12

Row = tuple[str, ...]
"""The cells of a model, in the order of `COLUMNS`."""

GONE = "gone"
"""The state of a model that is no longer listed, in place of that which it had."""

_GET_ONE: dict[Api | None, str] = {
    "lmstudio-v1": "devsynthctl download MODEL, or: lms get",
    "lmstudio-v0": "download one in LM Studio's own window, or: lms get",
    "embedded": "set embedded_model_path to a GGUF file",
}

_STATES = {True: "loaded", False: "not loaded", None: "unknown"}


def row(model: Model) -> Row:
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


def changes(before: Iterable[Row], now: Iterable[Row]) -> list[Row]:
    """Return the rows of *now* that were not there *before*, and those that are gone, as such."""
    old, new = {each[0]: each for each in before}, {each[0]: each for each in now}
    gone = [
        (*each[:_STATE], GONE, *each[_STATE + 1 : -1], "")
        for id, each in old.items()
        if id not in new
    ]
    return [each for id, each in new.items() if old.get(id) != each] + gone


def stand_in(models: Iterable[Model], selection: Selection) -> str | None:
    """Return in words who would answer although it is not in the list; null: there is no such."""
    if selection.how != "fallback" or any(model.selected for model in models):
        return None
    return f"{selection.model} would answer: {selection.reason}"


def nothing_listed(source: Source) -> str:
    """Return that the server of *source* lists no models, and what to do."""
    embedded = source.provider == "embedded"
    who = "the embedded engine" if embedded else f"the server at {source.api_base}"
    return f"{who} lists no models: {how_to_get_one(source)}"


def how_to_get_one(source: Source) -> str:
    """Return what has the server of *source*, which lists no models, have one."""
    return _GET_ONE.get(source.api, "give that server a model, as its own manual says")


def gives_way(models: Iterable[Model]) -> list[tuple[str, int]]:
    """Return which columns give way on a narrow terminal, in their order, and down to how much.

    0 leaves a column out. What tells most, the id and the state, stays; the name goes soon where
    it says no more than the id.
    """
    named = [("name", 0)] if all(_says_no_more(model) for model in models) else []
    return [
        ("owner", 0),
        *named,
        ("quantization", 0),
        ("name", _SHORT_NAME),
        ("kind", 0),
        ("name", 0),
        ("context", 0),
    ]


def _says_no_more(model: Model) -> bool:
    """Return whether the name of *model* is its id, or part of it, but for how it is written."""
    name, whole = (_SEPARATORS.sub("", each).casefold() for each in (model.name, model.id))
    return name in whole


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
