"""The child process that holds one answer against a JSON Schema, started by ``Structure``.

It reads a ``Question`` from stdin and writes a ``Verdict`` to stdout, both JSON. How long it takes
depends on the schema: recursive ones can take for ever, and in a process of its own that holds up
nothing but the answer itself.

It imports nothing of this project: it is run by its path, whatever the working directory.
"""

import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

MAX_CPU_S = 10
"""The kernel ends the process after so many seconds of work, even if nobody is left who waits."""

MAX_BACKTRACKS = 100_000
"""Of a pattern; more is taken as no match."""


class Question(msgspec.Struct, frozen=True):
    """Whether *answer*, JSON text, satisfies *schema*."""

    schema: msgspec.Raw
    answer: msgspec.Raw


class Verdict(msgspec.Struct, frozen=True):
    """Where the answer does not fit, as steps from its root, and why; without a reason it fits."""

    reason: str = ""
    path: tuple[str | int, ...] = ()


class NoSchemaError(ValueError):
    """Something is no JSON Schema: why, and where as steps from its root."""

    def __init__(self, reason: str, path: Sequence[str | int]) -> None:
        super().__init__(reason)
        self.path = tuple(path)


def compiled(schema: Any) -> Any:  # noqa: ANN401 - JSON is anything, the rest the library's own
    """Return what holds values against *schema*.

    Raises:
        NoSchemaError: It is none, or refers to something outside of itself.
    """
    # It takes 9 MB of memory, so the daemon has it only where somebody asks for a structure.
    import jsonschema_rs  # noqa: PLC0415 - see above

    try:
        return jsonschema_rs.validator_for(
            schema,
            retriever=_refuse,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS),
        )
    except jsonschema_rs.ValidationError as exc:
        raise NoSchemaError(exc.message, exc.instance_path) from exc


def verdict(schema: Any, answer: Any) -> Verdict:  # noqa: ANN401 - JSON is anything
    """Return whether *answer* satisfies *schema*, which is one."""
    validator = compiled(schema)
    try:
        if validator.is_valid(answer):  # much faster than to look for what is wrong
            return Verdict()
        error = next(iter(validator.iter_errors(answer)), None)
    except (ValueError, RecursionError) as exc:  # deeper than the library goes
        return Verdict(f"it cannot be checked: {exc}")
    return Verdict() if error is None else Verdict(error.message, tuple(error.instance_path))


def _refuse(uri: str) -> Any:  # noqa: ANN401 - the library's signature
    raise ValueError(f"{uri} is not fetched")


def main() -> None:
    """Answer the question on stdin. Exit status: ``os.EX_OSERR`` if there is no memory for that."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    # Without a word, where the daemon was killed that asked.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    decode = msgspec.json.decode
    try:
        question = decode(sys.stdin.buffer.read(), type=Question)
    except msgspec.DecodeError:  # it was killed before all was said
        sys.exit(os.EX_DATAERR)
    try:
        found = verdict(decode(question.schema), decode(question.answer))
    except (MemoryError, ImportError):  # also of the library, if it is too large to be loaded
        sys.exit(os.EX_OSERR)
    sys.stdout.buffer.write(msgspec.json.encode(found))


if __name__ == "__main__":
    main()
