"""What a field of a request may be, in plain words, from the annotations of its struct. Pure."""

from collections.abc import Iterator, Sequence

from msgspec import Struct, inspect

Step = str | int
"""One step of a path: the name of a field, or a position in a list."""


def type_at(struct: type[Struct], steps: Sequence[Step]) -> inspect.Type | None:
    """Return what is declared at the end of the path *steps* in *struct*, ``None`` if nothing."""
    found: inspect.Type | None = inspect.type_info(struct)
    for step in steps:
        found = None if found is None else _inside(found, step)
    return found


def field_names(declared: inspect.Type) -> tuple[str, ...]:
    """Return the names of the fields where *declared* is a struct, or may be one."""
    structs = (kind for kind in _kinds(declared) if isinstance(kind, inspect.StructType))
    return tuple(field.encode_name for struct in structs for field in struct.fields)


def takes_words(declared: inspect.Type) -> bool:
    """Return whether *declared* has words of its own, like ``auto``, and no other text."""
    return any(isinstance(kind, inspect.LiteralType) for kind in _kinds(declared))


def in_words(declared: inspect.Type) -> str:
    """Return what *declared* allows, like ``a number from 0 to 2, or null``."""
    kinds = list(_kinds(declared))
    if any(isinstance(kind, inspect.FloatType) for kind in kinds):  # it takes integers too
        kinds = [kind for kind in kinds if not isinstance(kind, inspect.IntType)]
    kinds.sort(key=lambda kind: isinstance(kind, inspect.NoneType))
    *firsts, last = [_kind_in_words(kind, kinds) for kind in kinds]
    return f"{', '.join(firsts)}, or {last}" if firsts else last


def _inside(outer: inspect.Type, step: Step) -> inspect.Type | None:
    for kind in _kinds(outer):
        if isinstance(kind, inspect.ListType) and isinstance(step, int):
            return kind.item_type
        if isinstance(kind, inspect.StructType):
            for field in kind.fields:
                if field.encode_name == step:
                    return field.type
    return None


def _kinds(declared: inspect.Type) -> Iterator[inspect.Type]:
    yield from declared.types if isinstance(declared, inspect.UnionType) else (declared,)


def _kind_in_words(kind: inspect.Type, beside: Sequence[inspect.Type]) -> str:
    match kind:
        case inspect.NoneType():
            words = "null"
        case inspect.BoolType():
            words = "true or false"
        case inspect.IntType() | inspect.FloatType():
            words = _number_in_words(kind)
        case inspect.LiteralType(values=values):
            *firsts, last = map(str, values)
            words = f"{', '.join(firsts)} or {last}" if firsts else last
        case inspect.StrType(min_length=low, max_length=high):
            words = "a text" + _count(low, high, "character")
        case inspect.ListType(item_type=item, min_length=low, max_length=high) if item in beside:
            words = "a list" + (_count(low, high, "") or " of any number") + " of them"
        case inspect.ListType(item_type=item, min_length=low, max_length=high):
            words = "a list" + _count(low, high, "item") + f", each {in_words(item)}"
        case inspect.StructType(fields=fields):
            needed = [f"`{field.encode_name}`" for field in fields if field.required]
            words = f"a map with {' and '.join(needed)}" if needed else "a map"
        case _:
            words = "any value"
    return words


def _number_in_words(kind: inspect.IntType | inspect.FloatType) -> str:
    is_whole = isinstance(kind, inspect.IntType) or kind.multiple_of == 1
    noun = "an integer" if is_whole else "a number"
    if kind.ge is not None and kind.le is not None:
        return f"{noun} from {_written(kind.ge)} to {_written(kind.le)}"
    bounds = {"above": kind.gt, "from": kind.ge, "below": kind.lt, "up to": kind.le}
    told = [f"{word} {_written(bound)}" for word, bound in bounds.items() if bound is not None]
    return f"{noun} {' and '.join(told)}" if told else noun


def _written(bound: float) -> str:
    return str(int(bound) if bound == int(bound) else bound)  # not 1000000000.0


def _count(low: int | None, high: int | None, noun: str) -> str:
    if high is not None:
        numbers = f" of at most {high}" if low is None else f" of {low} to {high}"
    elif low is not None:
        numbers = f" of at least {low}"
    else:
        return ""
    is_one = 1 in {low, high} and None in {low, high}
    return f"{numbers} {noun}{'' if is_one else 's'}" if noun else numbers
