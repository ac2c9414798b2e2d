"""Answers that have to be JSON of a given shape."""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from devsynthd.wire.errors import BadRequest, UpstreamError
from devsynthd.wire.freeform import value_of

_MAX_BACKTRACKS = 100_000  # of a `pattern`: more is taken as no match
_MAX_SHOWN = 200


class Structure:
    """The JSON Schema in *schema*, JSON text, which an answer has to satisfy.

    Raises:
        BadRequest: It is no JSON Schema.
    """

    def __init__(self, schema: Raw) -> None:
        # It takes 9 MB of memory, so only where somebody asks for a structure.
        import jsonschema_rs  # noqa: PLC0415 - see above

        try:
            self._validator = jsonschema_rs.validator_for(
                value_of(schema),
                retriever=_refuse,
                pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_BACKTRACKS),
            )
        except jsonschema_rs.ValidationError as exc:
            raise BadRequest(
                f"`schema` is no JSON Schema: {_short(exc.message)} at {_path(exc.instance_path)}",
                hint="see json-schema.org; references lead to places in the schema itself",
            ) from exc

    def check(self, text: str, *, was_cut_off: bool) -> None:
        """Check that *text* is JSON that satisfies the schema.

        Raises:
            UpstreamError: It is not; ``details`` has ``text``, and where it does not fit in
                ``path``: ``$`` is the whole of it.
        """
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError) as exc:
            if was_cut_off:
                raise _misfit(
                    "the answer was cut off before its JSON was complete",
                    "Raise max_tokens, or ask for less.",
                    text,
                    "$",
                ) from exc
            raise _misfit(
                f"the answer is not JSON, which `schema` asks for: {exc}",
                "Small models and some servers do not keep to schemas: ask again, or take a larger"
                " model.",
                text,
                "$",
            ) from exc
        error = next(iter(self._validator.iter_errors(value)), None)
        if error is not None:
            path = _path(error.instance_path)
            raise _misfit(
                f"the answer does not satisfy `schema` at {path}: {_short(error.message)}",
                "Ask again, or make the schema simpler: not every server keeps to all of it.",
                text,
                path,
            )

    def fits(self, text: str) -> bool:
        """Return whether *text* is JSON that satisfies the schema."""
        try:
            self.check(text, was_cut_off=False)
        except UpstreamError:
            return False
        return True


def _refuse(uri: str) -> Any:  # noqa: ANN401 - the library's signature
    raise ValueError(f"{uri} is not fetched")


def _misfit(message: str, hint: str, text: str, path: str) -> UpstreamError:
    return UpstreamError(message, hint=hint, details={"text": text, "path": path})


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in steps
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}..."
