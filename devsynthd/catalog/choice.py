"""Which model answers: decisions from the list and the settings. Pure."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from devsynthd.upstream.entries import shown
from devsynthd.wire.errors import ModelNotFound, NoModel, NotSupported
from devsynthd.wire.nearest import near
from devsynthd.wire.objects import Model, Selection

CHAT_KINDS = ("llm", "unknown")


class Wishes(Struct, frozen=True):
    """What the user wants to answer, most important first; an empty name is no wish.

    *selected* empty: by ``select``, the daemon chooses, whatever the settings say.
    """

    selected: str | None  # by ``select``
    configured: str  # ``llm_model``
    auto_select: bool  # ``llm_auto_select_model``
    stand_in: str  # ``llm_fallback_model``

    @property
    def named(self) -> str | None:
        """The model that is named outside of a request."""
        return (self.configured if self.selected is None else self.selected) or None

    @property
    def auto(self) -> bool:
        """Whether the daemon chooses where none is named."""
        return self.auto_select or self.selected == ""


def first_chat_model(models: Sequence[Model]) -> Model | None:
    """Return the first loaded chat model in the upstream's order, else the first chat model."""
    chat = [model for model in models if model.kind in CHAT_KINDS]
    return next((model for model in chat if model.loaded), chat[0] if chat else None)


def embedding_model(models: Sequence[Model], address: str) -> str:
    """Return the first loaded embedding model in the upstream's order, else the first one.

    Raises:
        NoModel: There is none that is known as one.
    """
    own = [model for model in models if model.kind == "embedding"]
    chosen = next((model for model in own if model.loaded), own[0] if own else None)
    if chosen is None:
        raise NoModel(
            f"{address} lists no embedding model",
            hint="name one in the request: servers other than LM Studio do not tell which they are",
        )
    return chosen.id


def require_embeds(model: Model, name: str, models: Sequence[Model]) -> None:
    """Check that *model* is not known to write text instead of vectors.

    *name* is what the user called it, *models* are all that there are.

    Raises:
        NotSupported: It is; the hint names those that make vectors.
    """
    if model.kind != "llm":
        return
    others = [each.id for each in models if each.kind == "embedding"]
    raise NotSupported(
        f"{name} is a chat model: it makes no embeddings",
        hint=f"embedding models: {', '.join(map(shown, others[:3]))}"
        if others
        else "none is listed",
    )


def require_chats(model: Model, name: str) -> None:
    """Check that *model*, which the user called *name*, does not make vectors instead of text.

    Raises:
        NotSupported: It is known to.
    """
    if model.kind == "embedding":
        raise NotSupported(
            f"{name} is an embedding model: it does not chat",
            hint="list the models that do: devsynthctl models --kind llm",
        )


def lane_of(name: str, models: Sequence[Model]) -> str:
    """Return the instance that answers to *name*, a model's or an instance's; else *name*.

    Of several instances of a model, LM Studio takes the first.
    """
    model = find_model(name, models)
    ids = [instance.id for instance in model.instances] if model else []
    return name if name in ids or not ids else ids[0]


def select(
    models: Sequence[Model] | None, wishes: Wishes, *, reachable: bool, engine: bool
) -> Selection:
    """Return what would answer a request that names no model.

    *models* is the last list, none if there never was one; *engine* says whether the embedded
    engine may stand in for an upstream that is not reachable.
    """
    if wishes.named:
        return _named(models, wishes, reachable=reachable)
    if not reachable and engine:
        why = "the upstream is not reachable: the embedded engine answers"
        return Selection(wishes.stand_in, "fallback", available=True, reason=why)
    if models is None:
        why = "nothing could be listed yet"
        return Selection(wishes.stand_in, "fallback", available=False, reason=why)
    chosen = first_chat_model(models) if wishes.auto else None
    if chosen is None:
        why = (
            "the upstream lists no chat model"
            if wishes.auto
            else "no model is named and llm_auto_select_model is off"
        )
        return Selection(None, "none", available=None, reason=why)
    why = {
        True: "the first loaded chat model",
        False: "the first chat model listed; none is loaded",
        None: "the first chat model listed; which are loaded is not known",
    }[chosen.loaded]
    if not reachable:
        why += ", when the upstream was last reachable"
    return Selection(chosen.id, "auto", available=reachable, reason=why)


def _named(models: Sequence[Model] | None, wishes: Wishes, *, reachable: bool) -> Selection:
    listed = None if models is None else is_listed(wishes.named or "", models)
    why = "set by select" if wishes.selected else "set by llm_model"
    if not reachable:
        listed = False
        why += "; the upstream is not reachable"
    elif not listed:
        why += "; the upstream does not list it"
    how: Literal["selected", "configured"] = "selected" if wishes.selected else "configured"
    return Selection(wishes.named, how, available=listed, reason=why)


def answering_model(selection: Selection, address: str) -> str:
    """Return the model of *selection*, for a request that names none.

    Raises:
        NoModel: There is none; the message says why.
    """
    if selection.model is None:
        raise NoModel(
            f"no model to answer: {selection.reason} ({address})",
            hint="name one in the request, or run `devsynthctl select MODEL`",
        )
    return selection.model


def find_model(name: str, models: Sequence[Model]) -> Model | None:
    """Return the one of *models* that *name* is, or an instance of, to the letter."""
    for model in models:  # each generation comes here, more than once
        if name == model.id:
            return model
        for instance in model.instances:
            if name == instance.id:
                return model
    return None


def is_listed(name: str, models: Sequence[Model]) -> bool:
    """Return whether *name* is one of *models* or of their instances."""
    return find_model(name, models) is not None


def require_listed(name: str, models: Sequence[Model], address: str) -> Model:
    """Return the one of *models* that *name* is, as ``find_model`` has it.

    Raises:
        ModelNotFound: It is not; ``details.near`` has ids that are spelled alike.
    """
    if (model := find_model(name, models)) is not None:
        return model
    ids = [model.id for model in models]
    alike = near(name, ids, 3, cutoff=0.5)
    alike += [each for each in ids if name.lower() in each.lower() and each not in alike][
        : 3 - len(alike)
    ]
    meant = f"did you mean {', '.join(map(shown, alike))}? " if alike else ""
    raise ModelNotFound(
        f"the model {name} is not in the list of {address}",
        hint=f"{meant}list the models with `devsynthctl models`",
        details={"model": name, "near": alike},
    )
