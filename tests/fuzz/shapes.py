"""Values that a declared type allows, and values that nobody expects. Derived, not listed."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any, TypeVar

from hypothesis import strategies as st
from msgspec import Raw, Struct, inspect

T = TypeVar("T")

Fields = dict[str, Any]
Hints = Mapping[str, st.SearchStrategy[Any]]
"""By the name of a field: values that lead further than any text would, like a model's id."""

LONG = 300
MAX_ITEMS = 3
MAX_OPTIONAL = 4

ODD_TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "x",
            "\0",
            "\n",
            "\x1b[2J",
            "\x9b31m",
            "\u202e",
            "\ufeff",
            "\U0001f600",
            "\u0301",
        ),
        *("true", "null", "-1", "auto", "[DONE]", "<think>", "../../x", "%s%n", "{", '"', "\\"),
        "x" * 65,
        "y" * 129,
        "z" * LONG,
    ]
)
TEXTS = st.one_of(st.text(max_size=8), ODD_TEXTS)
INTEGERS = st.one_of(
    st.integers(-3, 20),
    st.sampled_from([2**31 - 1, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**64 - 1, -(2**53), -(2**63)]),
)
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e-9, 5e-324, 1e9, 1e308]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=MAX_ITEMS) | st.dictionaries(TEXTS, inner, max_size=MAX_ITEMS)
    ),
    max_leaves=6,
)
"""Anything that has a form in JSON and in MessagePack."""


def mostly(
    common: st.SearchStrategy[T], *rare: st.SearchStrategy[T], tenths: int = 8
) -> st.SearchStrategy[T]:
    """Return what *common* gives in so many *tenths*, and what *rare* ones give in the others."""
    others = st.one_of(*rare)
    return st.integers(0, 9).flatmap(lambda tenth: common if tenth < tenths else others)


def fields_of(
    struct: type[Struct], hints: Hints | None = None, always: Sequence[str] = ()
) -> st.SearchStrategy[Fields]:
    """Return maps that can be read as *struct*, with its tag, those in *always* and some options.

    The type of a field decides, and where it has one, its hint, which must be of that type; one of
    *struct* itself is none of fields inside others. Free-form ones get any JSON.
    """
    return _fields(inspect.type_info(struct), hints or {}, always)


def _fields(
    declared: inspect.Type, hints: Hints, always: Sequence[str] = ()
) -> st.SearchStrategy[Fields]:
    assert isinstance(declared, inspect.StructType)
    tag = {} if declared.tag_field is None else {declared.tag_field: declared.tag}
    names = [field.encode_name for field in declared.fields]
    inner_hints = {name: hint for name, hint in hints.items() if name not in names}
    values = {
        field.encode_name: hints.get(field.encode_name, _values(field.type, inner_hints))
        for field in declared.fields
    }
    needed = [field.encode_name for field in declared.fields if field.required]
    needed += always
    options = [name for name in values if name not in needed]

    return _some(tag, values, needed, _subsets(options) if options else st.just([]))


@st.composite
def _some(
    draw: st.DrawFn,
    tag: Fields,
    values: Mapping[str, st.SearchStrategy[Any]],
    needed: Sequence[str],
    options: st.SearchStrategy[list[str]],
) -> Fields:
    return {**tag, **{name: draw(values[name]) for name in [*needed, *draw(options)]}}


def _subsets(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), unique=True, max_size=MAX_OPTIONAL)


def _values(  # noqa: C901, PLR0911, PLR0912 - a case a type
    declared: inspect.Type, hints: Hints
) -> st.SearchStrategy[Any]:
    match declared:
        case inspect.Metadata(type=inner):
            return _values(inner, hints)
        case inspect.UnionType(types=types):
            return reduce(or_, (_values(each, hints) for each in types))
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType(values=words):
            return st.sampled_from(sorted(words, key=str))
        case inspect.StrType(min_length=low, max_length=high):
            return TEXTS.filter(lambda text: (low or 0) <= len(text) <= (high or LONG))
        case inspect.IntType() | inspect.FloatType():
            return _numbers(declared)
        case inspect.StructType():
            return st.deferred(lambda: _fields(declared, hints))
        case inspect.ListType(item_type=item, min_length=low):
            return st.lists(_values(item, hints), min_size=low or 0, max_size=MAX_ITEMS)
        case inspect.VarTupleType(item_type=item):
            return st.lists(_values(item, hints), max_size=MAX_ITEMS)
        case inspect.DictType(value_type=value):
            return st.dictionaries(TEXTS, _values(value, hints), max_size=MAX_ITEMS)
        case inspect.RawType() | inspect.AnyType():
            return JSON
        case inspect.CustomType(cls=cls) if cls is Raw:
            return JSON
        case _:
            raise TypeError(f"no values are known for {declared}")


def _numbers(declared: inspect.IntType | inspect.FloatType) -> st.SearchStrategy[float]:
    """Return numbers within the limits of *declared*, and at them; whole ones if it says so."""
    low = _bound(declared.ge, declared.gt, -(2**53) + 1)
    high = _bound(declared.le, declared.lt, 2**53 - 1)
    whole = st.integers(max(-(2**53) + 1, int(low)), min(2**53 - 1, int(high)))
    ends = st.sampled_from([each for each in (int(low), int(high), 1) if low <= each <= high])
    if isinstance(declared, inspect.IntType):
        return ends | whole
    if declared.multiple_of == 1:
        return ends | whole | whole.map(float)
    numbers = st.floats(low, high, exclude_min=declared.gt is not None)
    return st.one_of(numbers, whole.filter(lambda number: low < number <= high), numbers)


def _bound(reached: float | None, not_reached: float | None, otherwise: float) -> float:
    return next((each for each in (reached, not_reached) if each is not None), otherwise)
