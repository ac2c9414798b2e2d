"""Settings as rows and lines, and where the shell differs from the daemon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from devsynthctl.render.settings import (
    COLUMNS,
    DIFFERENCE_COLUMNS,
    Change,
    Place,
    difference_row,
    differences,
    row,
    saved_notes,
    set_note,
    setting_line,
    value_text,
)
from devsynthctl.render.shell import shell_differences
from devsynthd.settings.schema import BY_KEY, MASK, SETTINGS
from devsynthd.wire.objects import SettingInfo, SettingSource
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingOutcome

BAD = "\N{REPLACEMENT CHARACTER}"
HERE = Place("/etc/c.toml", 7)
NOWHERE = Place("/etc/c.toml", None)
LATER = "when the engine is idle"


def info(key: str, value: Value | None = None, source: SettingSource = "default") -> SettingInfo:
    """Return the setting *key* as the daemon tells it; *value* null: its default."""
    setting = BY_KEY[key]
    return SettingInfo(
        key=key,
        value=setting.default if value is None else value,
        source=source,
        default=setting.default,
        description=setting.description,
        secret=setting.secret,
    )


def change(
    value: Value | None,
    effective: Value,
    source: SettingSource = "file",
    *,
    key: str = "llm_max_tokens",
    in_force: str = "at once",
) -> Change:
    outcome = SettingOutcome(key=key, value=value, effective=effective, source=source, warnings=())
    return Change(outcome=outcome, in_force=in_force)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (-1, "-1"),
        (300.0, "300"),
        (0.7, "0.7"),
        (0.0, "0"),
        ("", ""),
        ("a b", "a b"),
        ("a\tb\nc\x1b\u202e", f"a b c␛{BAD}"),
    ],
    ids=repr,
)
def test_a_value_is_written_as_by_a_person(value: Value, text: str) -> None:
    assert value_text(value) == text


@given(st.text())
def test_a_value_is_one_line_that_no_terminal_obeys(text: str) -> None:
    assert not any(ord(each) < 0x20 or 0x7F <= ord(each) < 0xA0 for each in value_text(text))


def test_the_cells_of_a_setting() -> None:
    told = info("llm_connect_timeout", 4.0, "env")
    assert dict(zip(COLUMNS, row(told), strict=True)) == {
        "key": "llm_connect_timeout",
        "value": "4",
        "source": "env",
        "description": BY_KEY["llm_connect_timeout"].description,
    }
    assert dict(zip(DIFFERENCE_COLUMNS, difference_row(told), strict=True)) == {
        "key": "llm_connect_timeout",
        "value": "4",
        "default": "3",
        "source": "env",
    }


def test_a_difference_is_another_value_wherever_it_comes_from() -> None:
    told = [
        info("llm_model", "", "file"),  # set to what is the default
        info("llm_max_tokens"),
        info("llm_temperature", 0.5, "file"),
        info("llm_api_key", MASK, "env"),
        info("llm_auto_select_model", value=False, source="selected"),
    ]
    assert [each.key for each in differences(told)] == [
        "llm_temperature",
        "llm_api_key",
        "llm_auto_select_model",
    ]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (2048, "llm_model = 2048\n"),
        ("", 'llm_model = ""\n'),
        (True, "llm_model = true\n"),
        (MASK, "llm_model = ********\n"),
        ("a\nb", "llm_model = a b\n"),
        (None, "llm_model is not set in the file\n"),
    ],
)
def test_the_line_about_what_was_written(value: Value | None, line: str) -> None:
    assert setting_line(change(value, 1, key="llm_model").outcome) == line


def test_the_line_about_what_was_removed() -> None:
    outcome = change(None, 1, key="llm_model").outcome
    assert setting_line(outcome, was_set=True) == "llm_model is no longer set in the file\n"


@pytest.mark.parametrize(
    ("what", "place", "note"),
    [
        (change(5, 5), HERE, "written to /etc/c.toml; the daemon (pid 7) has it in force"),
        (
            change(5, 5, in_force=LATER),
            HERE,
            "written to /etc/c.toml; the daemon (pid 7) has it in force when the engine is idle",
        ),
        (
            change(5, 9, "env"),
            HERE,
            "written to /etc/c.toml; the daemon (pid 7) goes on with 9 (env)",
        ),
        # The same value, but not because it was written.
        (
            change(5, 5, "flag"),
            HERE,
            "written to /etc/c.toml; the daemon (pid 7) goes on with 5 (flag)",
        ),
        (
            change(False, True, "selected"),  # noqa: FBT003 - values
            HERE,
            "written to /etc/c.toml; the daemon (pid 7) goes on with true (selected)",
        ),
        (
            change(MASK, MASK, "env"),
            HERE,
            "written to /etc/c.toml; the daemon (pid 7) goes on with ******** (env)",
        ),
        (change(5, 9), HERE, "written to /etc/c.toml; the daemon (pid 7) goes on with 9 (file)"),
        (
            change(None, 1024, "default"),
            HERE,
            "/etc/c.toml does not set it; the daemon (pid 7) has the default, 1024, in force",
        ),
        (
            change(None, "", "default", in_force=LATER),
            HERE,
            (
                '/etc/c.toml does not set it; the daemon (pid 7) has the default, "", in force '
                "when the engine is idle"
            ),
        ),
        (
            change(None, 9, "env"),
            HERE,
            "/etc/c.toml does not set it; the daemon (pid 7) goes on with 9 (env)",
        ),
        (
            change(5, 5),
            NOWHERE,
            "written to /etc/c.toml; no daemon answers: it holds from the next start on",
        ),
        (
            change(None, 1024, "default"),
            NOWHERE,
            (
                "/etc/c.toml does not set it; no daemon answers: one started from this shell would "
                "have 1024 (default)"
            ),
        ),
    ],
)
def test_nothing_is_said_to_be_in_force_that_is_not(what: Change, place: Place, note: str) -> None:
    assert set_note(what, place) == note


PLAIN = change(5, 5)
UNSET = change(None, 0.7, "default", key="llm_temperature")
HIDDEN = change("a", "b", "env", key="llm_model")
SLOW = change(2, 2, key="embedded_threads", in_force=LATER)


@pytest.mark.parametrize(
    ("changes", "place", "notes"),
    [
        ([], HERE, ["written to /etc/c.toml; no setting has changed"]),
        ([], NOWHERE, ["written to /etc/c.toml; no setting has changed"]),
        ([PLAIN, UNSET], HERE, ["written to /etc/c.toml; the daemon (pid 7) has it in force"]),
        (
            [PLAIN, HIDDEN, SLOW],
            HERE,
            [
                "written to /etc/c.toml; the daemon (pid 7) has in force all but what follows",
                "llm_model: the daemon (pid 7) goes on with b (env)",
                "embedded_threads: the daemon (pid 7) has it in force when the engine is idle",
            ],
        ),
        (
            [HIDDEN],
            HERE,
            [
                "written to /etc/c.toml",
                "llm_model: the daemon (pid 7) goes on with b (env)",
            ],
        ),
        (
            [change(None, 0, "default", key="embedded_threads", in_force=LATER)],
            HERE,
            [
                "written to /etc/c.toml",
                (
                    "embedded_threads: the daemon (pid 7) has the default, 0, in force when the "
                    "engine is idle"
                ),
            ],
        ),
        (
            [PLAIN],
            NOWHERE,
            ["written to /etc/c.toml; no daemon answers: it holds from the next start on"],
        ),
        (
            [PLAIN],
            Place("/etc/c.toml", 7, instead="/srv/d.toml"),
            ["written to /etc/c.toml, but the daemon (pid 7) reads /srv/d.toml"],
        ),
    ],
)
def test_what_became_of_a_file_that_was_saved(
    changes: list[Change], place: Place, notes: list[str]
) -> None:
    assert saved_notes(changes, place) == notes


# Shell and daemon ------------------------------------------------------------------------------

SENDS = "; `devsynthctl generate` and `chat` send the shell's"


@pytest.mark.parametrize(
    ("environ", "told", "notes"),
    [
        ({}, [info("llm_model")], []),
        ({"DEVSYNTH_LLM_MODEL": ""}, [info("llm_model", "b", "file")], []),
        ({"DEVSYNTH_LLM_MODEL": "b"}, [info("llm_model", "b", "file")], []),
        ({"DEVSYNTH_DAEMON_POLL_INTERVAL": "5"}, [info("daemon_poll_interval")], []),
        ({"DEVSYNTH_SOCKET": "/x", "DEVSYNTH_OTHER": "y", "PATH": "z"}, [info("llm_model")], []),
        (
            {"DEVSYNTH_LLM_MODEL": "a"},
            [info("llm_model", "b", "file")],
            [
                "this shell has DEVSYNTH_LLM_MODEL = 'a', which the daemon does not see: "
                "'b' (file) is in force there" + SENDS
            ],
        ),
        (
            {"DEVSYNTH_LLM_MODEL": "a"},
            [info("llm_model", "b", "selected")],
            [
                "this shell has DEVSYNTH_LLM_MODEL = 'a': 'b' (selected) is in force there" + SENDS,
            ],
        ),
        (
            {"DEVSYNTH_LLM_MAX_TOKENS": "7", "DEVSYNTH_LLM_TEMPERATURE": "1"},
            [info("llm_temperature"), info("llm_max_tokens")],
            [
                "this shell has DEVSYNTH_LLM_TEMPERATURE = 1.0, which the daemon does not see: "
                "0.7 (default) is in force there" + SENDS,
                "this shell has DEVSYNTH_LLM_MAX_TOKENS = 7, which the daemon does not see: "
                "1024 (default) is in force there" + SENDS,
            ],
        ),
        (
            {"DEVSYNTH_DAEMON_LOG_LEVEL": "debug"},
            [info("daemon_log_level", "error", "flag")],
            [
                (
                    "this shell has DEVSYNTH_DAEMON_LOG_LEVEL = 'debug': 'error' (flag) is in "
                    "force there"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_API_BASE": "http://a/v1"},
            [info("llm_api_base", "http://me:pw@b/v1", "file")],
            [
                (
                    "this shell has DEVSYNTH_LLM_API_BASE = 'http://a/v1', which the daemon does "
                    "not see: '…@b/v1' (file) is in force there"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_API_KEY": "hunter2"},
            [info("llm_api_key", MASK, "file")],
            [
                (
                    "this shell has DEVSYNTH_LLM_API_KEY; whether that is what is in force in the "
                    "daemon (file) cannot be told: it is a secret"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_API_KEY": "hunter2"},
            [info("llm_api_key")],
            [
                (
                    "this shell has DEVSYNTH_LLM_API_KEY, which the daemon does not see: none is "
                    "in force there"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_TEMPERATURE": "hot"},
            [info("llm_temperature")],
            [
                (
                    "this shell's variable is of no use: DEVSYNTH_LLM_TEMPERATURE = 'hot' is not "
                    "allowed: it takes a number from 0 to 2"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_API_KEY": "hunter2 "},
            [info("llm_api_key")],
            [
                (
                    "this shell's variable is of no use: DEVSYNTH_LLM_API_KEY = (hidden) is not "
                    "allowed: it takes a text of at most 4096 ASCII characters without spaces"
                )
            ],
        ),
        (
            {"DEVSYNTH_LLM_MODLE": "a"},
            [],
            [
                (
                    "the variable DEVSYNTH_LLM_MODLE is ignored, there is no such setting: did you "
                    "mean DEVSYNTH_LLM_MODEL?"
                )
            ],
        ),
        # A daemon of another version has other settings.
        ({"DEVSYNTH_LLM_MODEL": "a"}, [], []),
        (
            {"DEVSYNTH_LLM_MODEL": "b"},
            [structs.replace(info("llm_model"), key="llm_mood", value="fine")],
            [],
        ),
    ],
)
def test_where_the_shell_differs(
    environ: dict[str, str], told: list[SettingInfo], notes: list[str]
) -> None:
    assert list(shell_differences(environ, told)) == notes


def test_a_shell_that_says_what_holds_does_not_differ() -> None:
    environ = {s.env: str(s.default) for s in SETTINGS if s.default != ""}
    assert shell_differences(environ, [info(setting.key) for setting in SETTINGS]) == ()
