"""``devsynthctl schema``: written without a daemon."""

import json

import pytest
from jsonschema import Draft202012Validator

from devsynthd.wire.schema import protocol_schema
from tests.ctl.conftest import Run


def test_it_is_written_for_people_to_read(run: Run) -> None:
    done = run("schema")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == protocol_schema()
    assert '\n  "$defs": {\n' in done.stdout


@pytest.mark.parametrize("args", [("--json", "schema"), ("schema", "--json")])
def test_with_json_it_is_one_line(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout) == protocol_schema()


def test_a_message_is_checked_with_it(run: Run) -> None:
    schema = json.loads(run("schema").stdout)
    Draft202012Validator.check_schema(schema)
    whole = Draft202012Validator(schema)
    chunk = Draft202012Validator({**schema, "anyOf": [{"$ref": "#/$defs/reply.chunk"}]})

    assert whole.is_valid({"op": "ping", "id": 1})
    assert not whole.is_valid({"op": "ping", "id": 1, "more": 2})
    assert chunk.is_valid({"type": "chunk", "id": 1, "seq": 0, "text": "a", "new": True})
    assert not chunk.is_valid({"type": "chunk", "id": 1})
