"""How a server fills the gap between two texts, told by its list of models. Pure."""

from collections.abc import Sequence
from enum import Enum

from devsynthd.wire.errors import NotSupported
from devsynthd.wire.objects import Model

WRITE_THE_TOKENS = (
    "Write the model's own fill-in-the-middle tokens into a `raw` prompt, without `suffix`."
)


class FillIn(Enum):
    """What a server takes where something follows the gap."""

    INFILL = "POST /infill of llama.cpp's server"
    FIELD = "the field suffix of a text completion"
    NONE = "nothing that is known: a suffix might be ignored without a word"


def is_llama_server(models: Sequence[Model]) -> bool:
    """Return whether llama.cpp's server lists *models*."""
    return bool(models) and all(model.owner == "llamacpp" for model in models)


def cannot_fill_in(address: str) -> NotSupported:
    """Return the error for a server that is not known to honour a suffix."""
    return NotSupported(
        f"{address} is not known to fill in the middle, so `suffix` was not sent to it",
        hint=WRITE_THE_TOKENS,
    )
