"""One setting as people meet it, derived from the field that declares it. Pure."""

from collections.abc import Callable
from typing import Any, Literal, get_args, get_type_hints

from msgspec import Struct, inspect

from devsynthd.wire.requests import Value

Kind = Literal["text", "integer", "number", "boolean", "choice"]
InForce = Literal["at once", "when the engine is idle"]


class Setting(Struct, frozen=True, kw_only=True):
    """One setting as people meet it.

    ``[table]`` *name* in the file is *key* on the command line and *env* in the environment.
    *limits* says in words what is allowed. *check* returns what else is wrong with a value that
    has the right type, or null. *in_force* says when a change takes effect.
    """

    key: str
    table: str
    name: str
    kind: Kind
    default: Value
    choices: tuple[str, ...]
    limits: str
    description: str
    secret: bool
    in_force: InForce
    env: str
    check: Callable[[Any], str | None] | None

    @property
    def meaning(self) -> str:
        """What it does, and when a change is in force if that is not at once."""
        if self.in_force == "at once":
            return self.description
        return f"{self.description} A change is in force {self.in_force}."

    @property
    def help(self) -> str:
        """What it does and what it takes, for a person who is about to set it."""
        return f"{self.meaning} Takes {self.limits}."


def settings_of(declaration: type[Struct]) -> tuple[Setting, ...]:
    """Return the fields of *declaration*, each named table_key, in their order."""
    hints = get_type_hints(declaration)
    fields: tuple[inspect.Field, ...] = getattr(inspect.type_info(declaration), "fields", ())
    return tuple(_setting(field, hints[field.name]) for field in fields)


def _setting(field: inspect.Field, hint: object) -> Setting:
    """Return *field* as a setting; *hint* is its type without limits."""
    meta = field.type if isinstance(field.type, inspect.Metadata) else inspect.Metadata(field.type)
    doc, extra = meta.extra_json_schema or {}, meta.extra or {}
    table, _, name = field.name.partition("_")
    choices = get_args(hint)  # in the order that they are declared in; msgspec sorts them
    kind, limits = _kind_and_limits(meta.type, choices, extra.get("unit"))
    return Setting(
        key=field.name,
        table=table,
        name=name,
        kind=kind,
        default=field.default,
        choices=choices,
        limits=extra.get("limits", limits),
        description=doc.get("description", ""),
        secret=extra.get("secret", False),
        in_force=extra.get("in_force", "at once"),
        env=f"DEVSYNTH_{field.name.upper()}",
        check=extra.get("check"),
    )


def _kind_and_limits(
    type_: inspect.Type, choices: tuple[str, ...], unit: str | None
) -> tuple[Kind, str]:
    """Return the kind of a setting of *type_*, and in words what it takes."""
    match type_:
        case inspect.BoolType():
            return "boolean", "true or false"
        case inspect.LiteralType():
            return "choice", f"{', '.join(choices[:-1])} or {choices[-1]}"
        case inspect.IntType(ge=least, le=most):
            return "integer", f"an integer from {least} to {most}"
        case inspect.FloatType(gt=above, ge=least, le=most):
            start = f"from {least} to" if above is None else f"above {above}, at most"
            return "number", f"a number{f' of {unit}' if unit else ''} {start} {most}"
        case inspect.StrType(min_length=shortest, max_length=longest):
            length = f"{shortest} to" if shortest else "at most"
            return "text", f"one line of {length} {longest} characters"
        case _:
            raise TypeError(f"no setting can be of {type_}")
