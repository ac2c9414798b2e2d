"""Which model answers: the list, and the choice from it. Pure."""

from collections.abc import Iterable

from msgspec.structs import replace

from devsynthctl.errors import error_from
from devsynthctl.render.models import chat_models, choice, menu
from devsynthd.wire.errors import DevsynthError, ModelNotFound
from devsynthd.wire.nearest import near
from devsynthd.wire.objects import ErrorInfo, Model
from devsynthd.wire.results import Models


def overview(listing: Models, model: str | None) -> list[str]:
    """Return who answers, *model* or (null) whom the daemon chooses, and a numbered line a model.

    The one that answers is marked.
    """
    chosen = listing.selection
    current = model or chosen.model
    return [
        model or f"{chosen.model or 'no model'} ({chosen.how}: {chosen.reason})",
        *menu([replace(each, selected=each.id == current) for each in _candidates(listing)]),
    ]


def names(listing: Models) -> list[str]:
    """Return the ids of the models to chat with."""
    return [model.id for model in _candidates(listing)]


def named(answer: str, listing: Models) -> str:
    """Return the id that *answer* is, or numbers in the `overview`.

    Raises:
        ModelNotFound: It is none of them.
        DevsynthError: Nothing can be listed, and why.
    """
    ids = names(listing)
    instances = (each.id for model in _candidates(listing) for each in model.instances)
    if chosen := choice(answer, ids) or (answer if answer in instances else None):
        return chosen
    failure = listing.source.error
    if failure and any(warning.code == "fallback" for warning in listing.warnings):
        hint = "see whether the upstream runs: devsynthctl status"
        raise error_from(ErrorInfo(code=failure.code, message=failure.message, hint=hint))
    raise _not_found(answer, ids, listing.source.api_base)


def _not_found(answer: str, ids: Iterable[str], address: str) -> DevsynthError:
    alike = near(answer, ids, 3, cutoff=0.5)
    meant = f"did you mean {', '.join(alike)}? " if alike else ""
    return ModelNotFound(
        f"the model {answer} is not among the chat models of {address}",
        hint=f"{meant}/model lists them; nothing has changed",
    )


def _candidates(listing: Models) -> list[Model]:
    return chat_models(listing.models)
