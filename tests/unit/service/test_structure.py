"""Whether an answer is JSON of the shape that was asked for."""

import json
import time

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
        structure(schema).check(text, was_cut_off=was_cut_off)
    return caught.value


@pytest.mark.parametrize("text", ['{"name": "Ada"}', ' {"name":"Ada","tags":["x"]}\n'])
def test_what_fits_passes(text: str) -> None:
    structure(PERSON).check(text, was_cut_off=False)
    assert structure(PERSON).fits(text)


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
    assert not structure(PERSON).fits(text)


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

    structure(schema).check("[1, 2]", was_cut_off=False)
    assert misfit(schema, '[1, "2"]').details["path"] == "$[1]"


def test_a_pattern_that_backtracks_for_ever_ends() -> None:
    started = time.monotonic()

    misfit({"type": "string", "pattern": "^(?=a)(a+)+(?!b)$"}, json.dumps("a" * 60 + "!"))

    assert time.monotonic() - started < 5


def test_what_is_shown_of_an_answer_is_short() -> None:
    assert len(str(misfit(PERSON, json.dumps({"name": ["x" * 100_000]})))) < 400
