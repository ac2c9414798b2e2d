"""What ``generate -o`` takes, by itself: completing it must not wait for imports."""

KEYS = (
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "stop",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "tools",
    "tool_choice",
    "ttl",
    "fallback",
)
"""The fields of ``generate`` that have no option of their own."""
