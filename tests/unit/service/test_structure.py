"""Whether an answer is JSON of the shape that was asked for."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

from devsynthd.service.structure import Structure
from devsynthd.wire.errors import BadRequest, UpstreamError

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def structure(schema: object) -> Structure:
    return Structure(Raw(json.dumps(schema).encode()))


def misfit(schema: object, text: str, *, was_cut_off: bool = False) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        check(schema, text, was_cut_off=was_cut_off)
    return caught.value


def check(schema: object, text: str, *, was_cut_off: bool = False) -> None:
    asyncio.run(structure(schema).check(text, was_cut_off=was_cut_off))


def fits(schema: object, text: str) -> bool:
    return asyncio.run(structure(schema).fits(text))


@pytest.mark.parametrize("text", ['{"name": "Ada"}', ' {"name":"Ada","tags":["x"]}\n'])
def test_what_fits_passes(text: str) -> None:
    check(PERSON, text)
    assert fits(PERSON, text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"name": ""}', "$.name"),
        ('{"name": "Ada", "tags": ["x", 5]}', "$.tags[1]"),
        ("{}", "$"),
        ('{"name": "Ada", "age": 3}', "$"),
        ("[]", "$"),
        ("", "$"),
        ("Sure! Here is the JSON", "$"),
        ('{"name": "Ada"} and more', "$"),
        ('{"name": NaN}', "$"),
        ("[" * 100_000, "$"),
    ],
)
def test_what_does_not_fit_is_told_with_the_place(text: str, path: str) -> None:
    error = misfit(PERSON, text)

    assert error.details == {"text": text, "path": path}
    assert error.hint
    assert path == "$" or path in str(error)
    assert not fits(PERSON, text)


def test_json_that_was_cut_off_is_called_that() -> None:
    error = misfit(PERSON, '{"name": "Ad', was_cut_off=True)

    assert "cut off" in str(error)
    assert "max_tokens" in (error.hint or "")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strng"},
        {"minimum": "low"},
        {"pattern": "("},
        {"$ref": "#/nowhere"},
        {"$schema": "http://127.0.0.1:9/unknown"},
    ],
)
def test_what_is_no_schema_is_refused(schema: object) -> None:
    with pytest.raises(BadRequest, match="`schema` is no JSON Schema"):
        structure(schema)


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/x.json", "file:///etc/hostname", "other.json", "urn:x:y"]
)
def test_references_lead_nowhere_outside(uri: str) -> None:
    with pytest.raises(BadRequest) as caught:
        structure({"$ref": uri})
    assert "sending request" not in str(caught.value)
    assert "expected value" not in str(caught.value)


def test_a_reference_within_is_followed() -> None:
    schema = {"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}}

    check(schema, "[1, 2]")
    assert misfit(schema, '[1, "2"]').details["path"] == "$[1]"


def test_a_pattern_that_backtracks_for_ever_ends() -> None:
    started = time.monotonic()

    misfit({"type": "string", "pattern": "^(?=a)(a+)+(?!b)$"}, json.dumps("a" * 60 + "!"))

    assert time.monotonic() - started < 5


def test_what_is_shown_of_an_answer_is_short() -> None:
    assert len(str(misfit(PERSON, json.dumps({"name": ["x" * 100_000]})))) < 400


EXPRESSION = {
    "$defs": {
        "expression": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "op": {"const": op},
                        "args": {"type": "array", "items": {"$ref": "#/$defs/expression"}},
                    },
                    "required": ["op", "args"],
                }
                for op in ("add", "sub", "mul", "div")
            ]
        }
    },
    "$ref": "#/$defs/expression",
}
"""An ordinary recursive schema: to find what is wrong takes four times as long a level."""


def nested(op: str, depth: int) -> object:
    return {"op": op if depth == 0 else "div", "args": [nested(op, depth - 1)] if depth else []}


def test_a_schema_that_takes_for_ever_does_not_hold_up_the_loop() -> None:
    async def run() -> None:
        slow = Structure(Raw(json.dumps(EXPRESSION).encode()), check_s=0.5)
        checking = asyncio.ensure_future(
            slow.check(json.dumps(nested("pow", 12)), was_cut_off=False)
        )
        longest_s, before = 0.0, time.monotonic()
        while not checking.done():
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.monotonic() - before)
            before = time.monotonic()
        with pytest.raises(UpstreamError, match=r"within 0\.5 s") as caught:
            checking.result()
        assert caught.value.details["path"] == "$"
        assert longest_s < 0.4

    asyncio.run(run())


def test_a_deep_answer_that_fits_is_found_to_fit_soon() -> None:
    check(EXPRESSION, json.dumps(nested("add", 12)))


def test_an_answer_that_is_nested_too_deeply_is_told_as_that() -> None:
    schema = {"type": "array", "items": {"$ref": "#"}, "minItems": 1}

    error = misfit(schema, "[" * 900 + "]" * 900)

    assert "does not satisfy" in str(error)
    assert "within" not in str(error)


def test_a_check_that_breaks_is_no_fault_of_the_answer() -> None:
    broken = Structure(Raw(b"{}"), command=(sys.executable, "-c", "raise SystemExit(1)"))

    with pytest.raises(msgspec.DecodeError):  # a bug, which the daemon logs
        asyncio.run(broken.check("1", was_cut_off=False))


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", f"raise SystemExit({os.EX_OSERR})"]
)
def test_a_check_that_the_machine_ends_keeps_the_answer(end: str) -> None:
    """As the kernel does where memory is short: the answer was paid for."""
    ended = Structure(Raw(b"{}"), command=(sys.executable, "-c", f"import os, signal; {end}"))

    with pytest.raises(UpstreamError, match="was ended, or had no memory") as unchecked:
        asyncio.run(ended.check("[1]", was_cut_off=False))

    assert unchecked.value.details["text"] == "[1]"
    assert "MemoryMax=" in str(unchecked.value.hint)


def test_a_check_that_cannot_be_started_keeps_the_answer() -> None:
    missing = Structure(Raw(b"{}"), command=("/no/such/command",))

    with pytest.raises(UpstreamError, match=r"no process can be started \(No such file") as told:
        asyncio.run(missing.check("[1]", was_cut_off=False))

    assert told.value.details["text"] == "[1]"


def test_a_check_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    """The child says when it runs, and would run for ever."""
    line = tmp_path / "line"
    os.mkfifo(line)
    endless = f"import os, time; open({str(line)!r}, 'w').write(str(os.getpid())); time.sleep(600)"

    async def run() -> None:
        slow = Structure(Raw(b"{}"), command=(sys.executable, "-c", endless))
        checking = asyncio.ensure_future(slow.check("1", was_cut_off=False))
        pid = int(await asyncio.to_thread(line.read_text))
        checking.cancel()
        await asyncio.wait({checking})
        assert checking.cancelled()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(run())
