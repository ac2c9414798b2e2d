"""The page on the protocol tells everything, and what of it is generated is up to date."""

import re

import pytest
import zmq

from devsynthctl import cli
from devsynthd.wire import limits
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Warn
from devsynthd.wire.schema import protocol_schema
from tests.vectors.page import PAGE, renewed
from tests.vectors.vector import names, read

TEXT = PAGE.read_text(encoding="utf-8")
DEFS = protocol_schema()["$defs"]
HEADINGS = set(re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE))
WORDS = set(re.findall(r"`\"?([\w.-]+)\"?`", TEXT))

OPS = [name.removeprefix("request.") for name in DEFS if name.startswith("request.")]
TOPICS = DEFS["reply.event"]["properties"]["topic"]["enum"]
STATES = DEFS["reply.progress"]["properties"]["state"]["enum"]
WARNINGS = re.findall(r"``(\w+)``", Warn.__doc__ or "")


def test_what_is_generated_is_up_to_date() -> None:
    assert renewed(TEXT) == TEXT, "renew it: python -m tests.vectors --page"


@pytest.mark.parametrize("op", OPS)
def test_every_op_has_its_section_its_fields_and_one_example_with_bytes(op: str) -> None:
    section = TEXT.split(f"\n### {op}\n")[1].split("\n### ")[0].split("\n## ")[0]
    own = set(DEFS[f"request.{op}"]["properties"]) - set(DEFS["request.ping"]["properties"])
    result = DEFS.get(f"result.{op}", {}).get("properties", {})

    for field in own | set(result):
        assert f"\n| `{field}` | " in section, field
    (example,) = re.findall(r"<!-- begin example (\w+) -->", section)
    assert op in {each.value.get("op") for each in read(example).messages}


@pytest.mark.parametrize("name", DEFS)
def test_every_message_and_object_has_a_table_of_its_fields(name: str) -> None:
    if not DEFS[name].get("properties") or name.startswith("request."):
        return
    assert f"<!-- begin fields {name} -->" in TEXT
    if "." not in name:
        assert name in HEADINGS | {"Limits of ping"} or name == "Limits"


@pytest.mark.parametrize(
    "word", [*ErrorCode, *WARNINGS, *TOPICS, *STATES, *DEFS["Limits"]["properties"]]
)
def test_every_code_topic_state_and_limit_is_told(word: str) -> None:
    assert len(WARNINGS) > 7
    assert word in WORDS


@pytest.mark.parametrize("state", STATES)
def test_the_table_of_states_has_each_of_them_and_ops_that_are_there(state: str) -> None:
    section = TEXT.split("\n### States\n")[1].split("\n## ")[0]
    (ops,) = re.findall(rf"^\| `{state}` \|[^|]*\|([^|]*)\|", section, re.MULTILINE)

    assert set(re.findall(r"`(\w+)`", ops)) <= set(OPS)


def test_options_and_events_of_zeromq_that_are_named_are_there() -> None:
    named = set(re.findall(r"ZMQ_(\w+)", TEXT))

    assert {"LINGER", "RECONNECT_IVL", "RCVHWM", "EVENT_DISCONNECTED", "EVENT_CLOSED"} <= named
    assert [name for name in named if not hasattr(zmq, name)] == []


@pytest.mark.parametrize("limit", [name for name in vars(limits) if name.startswith("MAX_")])
def test_every_limit_is_told(limit: str) -> None:
    section = TEXT.split("\n## Limits\n")[1].split("\n## ")[0]

    assert re.search(rf"\b{getattr(limits, limit)}\b", section)


@pytest.mark.parametrize("place", sorted(set(re.findall(r"\]\(#([\w-]+)\)", TEXT))))
def test_links_lead_to_headings(place: str) -> None:
    assert place in {heading.lower().replace(" ", "-").strip("`") for heading in HEADINGS}


def test_what_is_named_is_there() -> None:
    assert "devsynthctl schema" in TEXT
    assert "schema" in cli.COMMANDS
    shown = set(re.findall(r"<!-- begin (?:example|values|json) (\w+) -->", TEXT))
    assert shown <= set(names())
