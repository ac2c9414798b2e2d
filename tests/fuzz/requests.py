"""Bodies of requests: right, nearly right, and not at all. Every op has its share."""

from typing import Any

from hypothesis import strategies as st

from devsynthd.settings.schema import BY_KEY
from devsynthd.wire.codec import Encoding
from devsynthd.wire.requests import REQUEST_TYPES
from tests.fuzz.damage import damaged, torn, written
from tests.fuzz.shapes import INTEGERS, NUMBERS, TEXTS, Hints, fields_of, mostly

MODELS = ("a", "b", "vectors", "missing")

IDS = st.integers(-3, 3) | st.sampled_from(["a", "b", "1", 2.0, "\u00e9" * 128, 2**53 - 1])
_SHORT_S = st.sampled_from([0.001, 0.05, 5, 60.0])
_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
_SCHEMAS: list[dict[str, Any]] = [
    {},
    {"type": "object"},
    {"type": "object", "properties": {"a": {"enum": [1, "b", None]}}, "required": ["a"]},
    {"$ref": "#"},
    {"$ref": "http://127.0.0.1:1/x"},
    {"pattern": "(a+)+$"},
    {"type": 5},
]
HINTS: Hints = {
    "id": IDS,
    "v": st.just(1) | st.just(1.0),
    "target": IDS,
    "sent": st.sampled_from([1e12, 1e12, 0.0, 1.7e9]),
    "timeout": _SHORT_S | st.none(),
    "model": st.sampled_from(MODELS),
    "role": st.sampled_from(["user", "assistant", "system", "tool"]),
    "prompt": TEXTS | st.just("hi"),
    "key": st.sampled_from(sorted(BY_KEY)),
    "value": TEXTS | NUMBERS | st.booleans() | st.none() | st.sampled_from(["1", "debug", "a", 7]),
    "schema": st.sampled_from(_SCHEMAS),
    "tools": st.just([_TOOL]) | st.just([]),
    "tool_choice": st.sampled_from(["auto", {"type": "function", "function": {"name": "f"}}]),
    "logit_bias": st.dictionaries(st.sampled_from(["1", "15339", "x"]), NUMBERS, max_size=2),
    "extra": st.dictionaries(TEXTS, INTEGERS, max_size=2),
}
"""What keeps most requests right where their declared types say too little."""

_ASKED = (("prompt",), ("messages",), ("prompt", "stream"), ("prompt", "tools"), ("prompt", "raw"))
FIELD_NAMES = sorted({name for cls in REQUEST_TYPES.values() for name in cls.__struct_fields__})

ENCODINGS = st.sampled_from(list(Encoding))


def right_fields() -> st.SearchStrategy[dict[str, Any]]:
    """Return the fields of requests as a client would write them."""
    by_op = [fields_of(cls, HINTS) for _, cls in sorted(REQUEST_TYPES.items())]
    generate = REQUEST_TYPES["generate"]  # the one with the most to get wrong
    asked = [fields_of(generate, HINTS, always=names) for names in _ASKED]
    return mostly(st.one_of(*by_op), *asked, tenths=6)


@st.composite
def _encoded(draw: st.DrawFn) -> bytes:
    return written(draw(_DAMAGED), draw(ENCODINGS))


_DAMAGED = damaged(right_fields(), [*FIELD_NAMES, "op"])

BODIES: st.SearchStrategy[bytes] = mostly(
    torn(_encoded()),
    st.binary(max_size=60),
    st.binary(max_size=40).map(lambda noise: b"{" + noise),
    tenths=9,
)
"""What may come in one frame."""
