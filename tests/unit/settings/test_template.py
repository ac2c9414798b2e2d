"""The file that a new user starts with."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.settings.template import MAX_COLUMNS, default_file, toml_value
from devsynthd.wire.requests import Value


def test_it_says_what_it_is_and_what_wins() -> None:
    head, _, _ = default_file().partition("\n\n")
    text = " ".join(line.removeprefix("# ") for line in head.splitlines())

    assert "as soon as this file is saved" in text
    assert "DEVSYNTH_LLM_MODEL" in text


def test_a_setting_looks_like_this() -> None:
    assert (
        "\n"
        "# The engine's context, in tokens. A change is in force when the engine is idle.\n"
        "# Takes an integer from 1 to 2147483647.\n"
        "# context_length = 4096\n"
        "\n"
    ) in default_file()


def test_it_is_comments_headers_and_blank_lines_that_fit() -> None:
    for line in default_file().splitlines():
        assert line in ("", "#", "[llm]", "[daemon]", "[embedded]") or line.startswith("# ")
        assert len(line) <= MAX_COLUMNS
        assert line == line.rstrip()


def test_it_ends_with_one_newline() -> None:
    assert default_file().endswith("\n")
    assert not default_file().endswith("\n\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (7, "7"), (0.7, "0.7"), (300.0, "300.0"), ("", '""'), ('"\\', r'"\"\\"')],
)
def test_a_value_is_written_as_toml(value: Value, text: str) -> None:
    assert toml_value(value) == text


@given(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cc", "Cs"]))
)
def test_what_is_written_reads_back_as_it_was(value: Value) -> None:
    read = tomllib.loads(f"x = {toml_value(value)}")["x"]

    assert read == value
    assert type(read) is type(value)
