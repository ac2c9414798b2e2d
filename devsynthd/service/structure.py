"""Answers that have to be JSON of a given shape."""

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw

from devsynthd.host.limits import SHORTAGE_HINT
from devsynthd.host.processes import start_process
from devsynthd.service import structure_child
from devsynthd.wire.errors import BadRequest, UpstreamError
from devsynthd.wire.freeform import value_of

COMMAND = (sys.executable, "-P", structure_child.__file__)
"""The child. -P: its own folder, full of our modules' names, is no place to import from."""

CHECK_S = 10.0
"""How long an answer may take to be checked: a recursive schema can take for ever."""

_MAX_SHOWN = 200


class Structure:
    """The JSON Schema in *schema*, JSON text, which an answer has to satisfy.

    Raises:
        BadRequest: It is no JSON Schema.
    """

    def __init__(
        self, schema: Raw, *, command: Sequence[str] = COMMAND, check_s: float = CHECK_S
    ) -> None:
        self._schema, self._command, self._check_s = schema, command, check_s
        try:
            structure_child.compiled(value_of(schema))
        except structure_child.NoSchemaError as exc:
            raise BadRequest(
                f"`schema` is no JSON Schema: {_short(str(exc))} at {_path(exc.path)}",
                hint="see json-schema.org; references lead to places in the schema itself",
            ) from exc

    async def check(self, text: str, *, was_cut_off: bool) -> None:
        """Check that *text* is JSON that satisfies the schema.

        Raises:
            UpstreamError: It is not, or that takes too long; ``details`` has ``text``, and where it
                does not fit in ``path``: ``$`` is the whole of it.
        """
        try:
            msgspec.json.decode(text)
        except (ValueError, RecursionError) as exc:
            raise _not_json(text, exc, was_cut_off=was_cut_off) from exc
        found = await self._verdict(text)
        if found.reason:
            path = _path(found.path)
            raise _misfit(
                f"the answer does not satisfy `schema` at {path}: {_short(found.reason)}",
                "Ask again, or make the schema simpler: not every server keeps to all of it.",
                text,
                path,
            )

    async def fits(self, text: str) -> bool:
        """Return whether *text* is JSON that satisfies the schema."""
        try:
            await self.check(text, was_cut_off=False)
        except UpstreamError:
            return False
        return True

    async def _verdict(self, text: str) -> structure_child.Verdict:
        """Return what a process of its own finds, which is ended if that takes too long."""
        question = structure_child.Question(self._schema, Raw(text.encode()))
        try:
            process = await start_process(self._command)
        except OSError as exc:
            raise _unchecked(f"no process can be started ({exc.strerror or exc})", text) from exc
        try:
            async with asyncio.timeout(self._check_s):
                said, _ = await process.communicate(msgspec.json.encode(question))
        except TimeoutError as exc:
            raise _misfit(
                f"the answer could not be held against `schema` within {self._check_s:g} s",
                "Make the schema simpler: recursive alternatives take very long.",
                text,
            ) from exc
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == os.EX_OSERR or (process.returncode or 0) < 0:
            raise _unchecked("the process that does it was ended, or had no memory", text)
        return msgspec.json.decode(said, type=structure_child.Verdict)


def _not_json(text: str, exc: Exception, *, was_cut_off: bool) -> UpstreamError:
    if was_cut_off:
        return _misfit(
            "the answer was cut off before its JSON was complete",
            "Raise max_tokens, or ask for less.",
            text,
        )
    return _misfit(
        f"the answer cannot be read as JSON, which `schema` asks for: {exc}",
        "Small models and some servers do not keep to schemas: ask again, or take a larger model.",
        text,
    )


def _unchecked(why: str, text: str) -> UpstreamError:
    return _misfit(
        f"the answer could not be held against `schema`: {why}",
        f"The answer is in the error's details. {SHORTAGE_HINT}",
        text,
    )


def _misfit(message: str, hint: str, text: str, path: str = "$") -> UpstreamError:
    return UpstreamError(message, hint=hint, details={"text": text, "path": path})


def _path(steps: Iterable[str | int]) -> str:
    return "$" + "".join(
        f"[{step}]" if isinstance(step, int) else f".{_short(step)}" for step in steps
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[:_MAX_SHOWN]}..."
