"""What a caller should know about an answer that succeeded. Pure."""

import re

from devsynthd.service.routing import Route
from devsynthd.upstream.base import Ending
from devsynthd.upstream.entries import shown
from devsynthd.wire.objects import Warn

_INSTANCE_SUFFIX = re.compile(r":\d+$")
_QUANTIZATION_SUFFIX = re.compile(r"@[^@/]+$")


def warnings_of(route: Route, ending: Ending, max_tokens: int | None) -> tuple[Warn, ...]:
    """Return what there is to say of the answer of *route* that ended so."""
    found = []
    if route.fallback:
        found.append(
            Warn("fallback", f"the upstream is not reachable: {route.model} answered in its place")
        )
    found.extend(other_model(route.model, ending.model))
    if ending.finish_reason == "length":
        found.append(Warn("truncated", _cut_off(ending, max_tokens)))
    return tuple(found)


def _cut_off(ending: Ending, max_tokens: int | None) -> str:
    """Return what cut the answer off: the limit of tokens, else the model's context."""
    tokens = ending.usage.completion_tokens if ending.usage else max_tokens
    after = f" after {tokens} tokens" if tokens else ""
    if max_tokens is None or (tokens is not None and tokens < max_tokens):
        return (
            f"the answer was cut off{after}: the model's context is full, which no higher"
            " llm_max_tokens helps"
        )
    return (
        f"the answer was cut off{after}: raise max_tokens, which is llm_max_tokens where a request"
        " does not say it"
    )


def other_model(asked: str, answered: str | None) -> tuple[Warn, ...]:
    """Return a warning if *answered*, where it is told, is not the model that was *asked*."""
    if answered is None or same_model(asked, answered):
        return ()
    return (Warn("other_model", f"{shown(answered)} answered, not {shown(asked)}"),)


def same_model(asked: str, answered: str) -> bool:
    """Return whether *answered* is *asked*, or one of its instances (``:2``) or variants (``@q4``).

    LM Studio's embeddings name the variant that made them.
    """
    base = _QUANTIZATION_SUFFIX.sub("", answered)
    return asked in (answered, base) or asked == _INSTANCE_SUFFIX.sub("", base)
