"""What an answer says of the tokens that it took. Pure."""

from typing import Any

from devsynthd.upstream.entries import whole_number
from devsynthd.wire.objects import Usage

MAX_TOKENS = 2**31
"""No answer takes so many, and their sum stays a number that every reader keeps exact."""


def usage_of(value: Any) -> Usage | None:  # noqa: ANN401 - JSON is anything
    """Return the counts in *value*, of which one may be missing."""
    if not isinstance(value, dict):
        return None
    prompt, completion, total = (
        count
        if (count := whole_number(value.get(key))) is not None and 0 <= count < MAX_TOKENS
        else None
        for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if prompt is None and completion is None:
        return None
    if prompt is None:
        prompt = max((total or 0) - (completion or 0), 0)
    if completion is None:
        completion = max((total or 0) - prompt, 0)
    return Usage(prompt, completion, prompt + completion if total is None else total)


def usage_of_vectors(value: Any) -> Usage | None:  # noqa: ANN401 - JSON is anything
    """Return the counts in *value* for what only reads: nothing is written."""
    usage = usage_of(value)
    return usage and Usage(usage.prompt_tokens, 0, usage.total_tokens)
