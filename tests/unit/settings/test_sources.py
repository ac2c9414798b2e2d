from collections.abc import Mapping

import pytest

from devsynthd.settings.configuration import Prepared
from devsynthd.settings.schema import BY_KEY, SETTINGS, Setting, Settings
from devsynthd.settings.sources import (
    Given,
    Loaded,
    Source,
    combine,
    given_by_environment,
    given_by_flags,
)
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value

KEY = "daemon_log_level"
FLAG = Given(values={KEY: "debug"})
ENV = Given(values={KEY: "warning"})
FILE = Given(values={KEY: "error"})
NOTHING = Given()


def loaded(*, flags: Given = NOTHING, env: Given = NOTHING, file: Given | None = None) -> Loaded:
    return combine(flags=flags, environment=env, file=file)


@pytest.mark.parametrize(
    ("flags", "env", "file", "source", "value", "overrides"),
    [
        (NOTHING, NOTHING, None, "default", "info", ()),
        (NOTHING, NOTHING, NOTHING, "default", "info", ()),
        (NOTHING, NOTHING, FILE, "file", "error", ()),
        (NOTHING, ENV, NOTHING, "env", "warning", ()),
        (NOTHING, ENV, FILE, "env", "warning", (KEY,)),
        (FLAG, NOTHING, NOTHING, "flag", "debug", ()),
        (FLAG, NOTHING, FILE, "flag", "debug", (KEY,)),
        (FLAG, ENV, NOTHING, "flag", "debug", ()),
        (FLAG, ENV, FILE, "flag", "debug", (KEY,)),
    ],
)
def test_the_highest_source_wins(
    flags: Given,
    env: Given,
    file: Given | None,
    source: Source,
    value: str,
    overrides: tuple[str, ...],
) -> None:
    result = loaded(flags=flags, env=env, file=file)

    assert result.settings.daemon_log_level == value
    assert result.sources[KEY] == source
    assert result.overrides == overrides
    assert result.exists is (file is not None)


def test_nothing_given_is_the_defaults() -> None:
    result = loaded()

    assert result.settings == Settings()
    assert set(result.sources.values()) == {"default"}
    assert list(result.sources) == list(BY_KEY)


def test_each_setting_may_come_from_another_source() -> None:
    result = loaded(
        flags=FLAG,
        env=Given(values={"llm_model": "m"}),
        file=Given(values={"llm_max_tokens": 7}),
    )

    assert result.settings == Settings(daemon_log_level="debug", llm_model="m", llm_max_tokens=7)


def test_all_errors_of_all_sources_are_told_at_once() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        loaded(
            flags=Given(errors=("one",), remedy="mend one"),
            env=Given(errors=("two",)),
            file=Given(errors=("three", "four"), remedy="mend three"),
        )

    assert str(caught.value) == "one\ntwo\nthree\nfour"
    assert caught.value.details == {"errors": ["one", "two", "three", "four"]}
    assert caught.value.hint == "mend one; mend three"


def test_a_fault_in_a_hidden_value_is_an_error_all_the_same() -> None:
    with pytest.raises(ConfigInvalid, match="bad file"):
        loaded(env=ENV, file=Given(errors=("bad file",)))


def test_flags_are_read_like_variables_when_they_are_text() -> None:
    given = given_by_flags({KEY: "debug", "llm_max_tokens": "7", "llm_temperature": 1})

    assert given == Given(values={KEY: "debug", "llm_max_tokens": 7, "llm_temperature": 1.0})


def test_a_flag_that_was_not_given_sets_nothing() -> None:
    assert given_by_flags({KEY: None}) == NOTHING


def test_an_error_in_a_flag_names_the_flag() -> None:
    assert given_by_flags({KEY: "loud"}).errors == (
        "--log-level = 'loud' is not allowed: it takes debug, info, warning or error",
    )


ENV_TEXTS = {"boolean": "off", "integer": "3", "number": "1.5", "text": "https://h"}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_its_variable(setting: Setting) -> None:
    text = setting.choices[-1] if setting.choices else ENV_TEXTS[setting.kind]

    given = given_by_environment({f"DEVSYNTH_{setting.key.upper()}": text})

    values: dict[str, Value] = {"off": False, "3": 3, "1.5": 1.5}
    assert given == Given(values={setting.key: values.get(text, text)})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_an_empty_variable_counts_as_unset(setting: Setting) -> None:
    assert given_by_environment({setting.env: ""}) == NOTHING


def test_an_error_in_a_variable_names_it_and_what_is_allowed() -> None:
    assert given_by_environment({"DEVSYNTH_LLM_TEMPERATURE": "hot"}).errors == (
        "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed: it takes a number from 0 to 2",
    )


def test_errors_never_tell_a_secret() -> None:
    given = given_by_environment(
        {
            "DEVSYNTH_LLM_API_KEY": "hush hush",
            "DEVSYNTH_LLM_API_BASE": "http://me:hush@host",
            "DEVSYNTH_LLM_API_KEYS": "hush",
        }
    )

    assert len(given.errors) == 2
    assert len(given.warnings) == 1
    assert "hush" not in " ".join(given.errors + given.warnings)


@pytest.mark.parametrize(
    ("environ", "meant"),
    [
        ({"DEVSYNTH_LLM_MODLE": "m"}, "DEVSYNTH_LLM_MODEL?"),
        ({"DEVSYNTH_DAEMON_POLL": "1"}, "DEVSYNTH_DAEMON_POLL_INTERVAL?"),
        ({"DEVSYNTH_EMBEDDED_THREAD": "1"}, "DEVSYNTH_EMBEDDED_THREADS?"),
        ({"DEVSYNTH_LLM_" + "X" * 30: "1"}, "no setting has a similar name"),
        ({"DEVSYNTH_LLM_\x1b": "1"}, r"DEVSYNTH_LLM_\x1b is ignored"),
    ],
)
def test_an_unknown_variable_of_ours_is_a_warning(environ: Mapping[str, str], meant: str) -> None:
    given = given_by_environment(environ)

    assert given.values == {}
    assert given.errors == ()
    (warning,) = given.warnings
    assert meant in warning


@pytest.mark.parametrize(
    "name", ["DEVSYNTH_PROJECT", "DEVSYNTH_CONFIG", "DEVSYNTH_SOCKET", "DEVSYNTH_LLMX", "LLM_MODEL"]
)
def test_other_variables_are_left_alone(name: str) -> None:
    assert given_by_environment({name: "x"}) == NOTHING


def test_warnings_are_handed_on() -> None:
    assert loaded(env=Given(warnings=("look",))).warnings == ("look",)


def test_nothing_shows_a_secret_when_it_is_printed() -> None:
    file = Given(values={"llm_api_key": "hunter2"})
    loaded = combine(flags=NOTHING, environment=NOTHING, file=file)

    for shown in (repr(file), repr(loaded), repr(Prepared(loaded=loaded)), f"{loaded}"):
        assert "hunter2" not in shown
        assert "llm_api_key" in shown
