"""Replies as text: every case of cleaning, rows, status."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.render.as_json import error_line, result_line
from devsynthctl.render.models import COLUMNS, chat_models, choice, menu, row
from devsynthctl.render.status import duration, flat, status_text
from devsynthctl.render.text import cell, escaped, printable, tab_separated
from devsynthd.wire.objects import ErrorInfo, Model
from devsynthd.wire.results import StatusReport
from tests.support.replies import SOURCE, STATUS

BAD = "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("text", "as_text", "as_cell"),
    [
        ("plain", "plain", "plain"),
        ("naïve 日本 🙂", "naïve 日本 🙂", "naïve 日本 🙂"),
        ("a\tb\nc", "a\tb\nc", "a b c"),
        ("\x1b[2J", "␛[2J", "␛[2J"),
        ("\r\x08\x07\x00", "␍␈␇␀", " ␈␇␀"),
        ("\x7f", "␡", "␡"),
        ("\x80\x9b\x9f", BAD * 3, BAD * 3),
        ("\u202a\u202e\u2066\u2069\u200e\u200f\u061c", BAD * 7, BAD * 7),
        ("\u2028\u2029", BAD * 2, "  "),
    ],
)
def test_control_characters_become_visible(text: str, as_text: str, as_cell: str) -> None:
    assert printable(text) == as_text
    assert cell(text) == as_cell


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    controls = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))}
    assert not set(printable(text)) & controls - {"\n", "\t"}
    assert not set(cell(text)) & controls
    assert len(tab_separated([[text, text]]).splitlines()) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escaped_json_is_the_same_json(text: str) -> None:
    whole = escaped(msgspec.json.encode({text: text}).decode())
    assert json.loads(whole) == {text: text}


def test_json_keeps_what_is_not_known_here() -> None:
    value = {"models": [], "new": {"n": 1.5, "none": None}}
    line = result_line(msgspec.Raw(msgspec.msgpack.encode(value)))
    assert line.endswith("\n")
    assert json.loads(line) == value


def test_an_error_is_one_object() -> None:
    info = ErrorInfo(code="no_model", message="none\n\x9b", retryable=True, details={"a": [1]})
    line = error_line(info)
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "error": {
            "code": "no_model",
            "message": "none\n\x9b",
            "hint": None,
            "retryable": True,
            "details": {"a": [1]},
        }
    }


@pytest.mark.parametrize(
    ("fields", "column", "text"),
    [
        ({}, "owner", ""),
        ({"owner": "me"}, "owner", "me"),
        ({}, "state", "unknown"),
        ({"loaded": True}, "state", "loaded"),
        ({"loaded": False}, "state", "not loaded"),
        ({}, "context", ""),
        ({"max_context_length": 8}, "context", "8"),
        ({"max_context_length": 8, "context_length": 4}, "context", "4"),
        ({"quantization": "Q4"}, "quantization", "Q4"),
        ({}, "selected", ""),
        ({"selected": True}, "selected", "*"),
    ],
)
def test_the_cells_of_a_model(fields: dict[str, Any], column: str, text: str) -> None:
    cells = row(Model(id="a", name="A", **fields))
    assert dict(zip(COLUMNS, cells, strict=True))[column] == text


def test_the_menu_is_numbered_and_marked() -> None:
    entries = [Model(id=f"m{n}", name="", selected=n == 2) for n in range(1, 11)]
    lines = menu([*entries[:9], Model(id="m10", name="", loaded=False)])
    assert lines[0] == "   1  m1"
    assert lines[1] == "*  2  m2"
    assert lines[9] == "  10  m10  (not loaded)"


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("1", "a"),
        ("2", "1"),  # the second one, although the first answer is its id
        ("b", None),
        ("0", None),
        ("4", None),
        ("-1", None),
        ("²", None),
        ("3", "3"),
        ("A", None),
    ],
)
def test_a_choice_is_an_id_or_a_number(answer: str, chosen: str | None) -> None:
    assert choice(answer, ["a", "1", "3"]) == (chosen if answer != "1" else "1")


def test_embedding_models_do_not_chat() -> None:
    kinds = [Model(id=kind, name="", kind=kind) for kind in ("llm", "embedding", "unknown")]
    assert [each.id for each in chat_models(kinds)] == ["llm", "unknown"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (3600, "1 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "pairs"),
    [
        ({"a": 1, "b": None, "c": True}, [("a", "1"), ("b", ""), ("c", "true")]),
        ({"a": {"b": {"c": "x"}}}, [("a.b.c", "x")]),
        ({"a": []}, [("a", "")]),
        ({"a": ["x", False, None]}, [("a", "x,false,")]),
        ({"a": [{"b": 1}, {"b": 2}]}, [("a.0.b", "1"), ("a.1.b", "2")]),
        ({"a": {}}, []),
    ],
)
def test_values_are_flattened_by_name(value: object, pairs: list[tuple[str, str]]) -> None:
    assert flat(value) == pairs


def text_of(**changes: object) -> dict[str, str]:
    text = status_text(msgspec.convert(STATUS | changes, StatusReport))
    return {line[:10].strip(): line[10:] for line in text.splitlines()}


@pytest.mark.parametrize(
    ("total", "loaded", "line"),
    [
        (2, 2, "2, 2 of them loaded"),
        (2, 0, "2, none known to be loaded"),
        (0, 0, "none"),
    ],
)
def test_models_of_which_little_is_known(total: int, loaded: int, line: str) -> None:
    assert text_of(models={"total": total, "loaded": loaded})["models"] == line


def test_status_in_words() -> None:
    assert text_of() == {
        "daemon": "devsynthd 9.8.7, pid 4321, up 1 h 2 min",
        "socket": "/run/user/1/devsynth/devsynthd.sock",
        "config": "/home/me/config.toml",
        "": "hidden by the daemon's environment or flags: llm_model, llm_api_base",
        "upstream": "lmstudio at http://localhost:1234, reachable, list 2 s old",
        "model": "qwen/small (auto: the first one that is loaded)",
        "models": "3, 1 of them loaded",
        "queue": "1 running (at most 4), 2 waiting",
        "#7": "generate qwen/small, queued at 2, editor/1 (pid 99)",
        "so far": "10 requests, 4 generations, 1000 tokens, 3 errors, 1 cancelled",
        "memory": "31 MB",
    }


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ["/home/me/config.toml"]),
        ({"exists": False}, ["/home/me/config.toml (not there: defaults)"]),
        (
            {"valid": False, "error": "line 3: no\nline 4: no"},
            [
                "/home/me/config.toml",
                "not in force, but what was before it:",
                "line 3: no",
                "line 4: no",
            ],
        ),
    ],
)
def test_status_of_the_config_file(changes: dict[str, object], lines: list[str]) -> None:
    config = STATUS["config"] | {"overrides": []} | changes
    text = status_text(msgspec.convert(STATUS | {"config": config}, StatusReport))
    _, _, rest = text.partition("config    ")
    found, _, _ = rest.partition("upstream  ")
    assert [line.strip() for line in found.splitlines()] == lines


def test_status_of_bad_days() -> None:
    error = {"code": "upstream_unavailable", "message": "refused"}
    text = text_of(
        source=SOURCE | {"reachable": False, "stale": True, "error": error},
        selection={"model": None, "how": "none", "available": None, "reason": "nothing is listed"},
        requests=[STATUS["requests"][0] | dict.fromkeys(("client", "pid", "model", "position"))],
        memory_bytes=None,
    )
    assert text["upstream"] == (
        "lmstudio at http://localhost:1234, not reachable, list stale, 2 s old "
        "(upstream_unavailable: refused)"
    )
    assert text["model"] == "none (none: nothing is listed)"
    assert text["#7"] == "generate, queued"
    assert "memory" not in text
    assert text_of(source=SOURCE | {"age_s": None})["upstream"].endswith(", reachable")
