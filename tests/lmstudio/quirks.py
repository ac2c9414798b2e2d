"""What differs between versions of LM Studio, or what nobody could tell for sure.

A program that speaks to LM Studio must get along with both sides of each switch.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(kw_only=True)
class Quirks:
    """Switches that a test sets while the simulator runs."""

    hides_loaded_instances: bool = False
    """``/api/v1/models`` says that nothing is loaded; ``/api/v0/models`` knows better."""

    greeting_needs_token: bool = False
    """With authentication on, the greeting too. LM Studio's own tools greet without a token."""

    unauthorized_is_unexpected: bool = False
    """A request without a good token gets "Unexpected endpoint", status 200, instead of a 401."""

    v1_list_shrinks: bool = False
    """With JIT off, ``/api/v1/models`` too shows loaded models only."""

    status_version: str | None = None
    """What ``/lms-status`` tells; without a version the route is not there."""

    overflow: Literal["frame", "silence"] = "frame"
    """A stream whose prompt is too long: an error in it, or a good end without any text."""

    named_errors: bool = False
    """Errors inside a stream come as ``event: error``, and not as plain data."""

    done_after_error: bool = False
    """``[DONE]`` follows an error inside a stream."""

    interruption: Literal["frame", "cut"] = "frame"
    """A stream whose model went away: an error in it, or the connection just ends."""

    honours_suffix: bool = False
    """``/v1/completions`` fills in before a ``suffix``; otherwise it ignores the field."""

    resets_reused_connections: bool = False
    """A request on a connection that was used before finds it closing: a reset, no answer."""
