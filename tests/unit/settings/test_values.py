import datetime as dt
import math

import pytest

from devsynthd.settings.schema import (
    BY_KEY,
    MAX_CONCURRENCY,
    MAX_COUNT,
    MAX_SECONDS,
    MAX_THREADS,
    SETTINGS,
)
from devsynthd.settings.values import NotAllowed, check_value, parse_value, refusal, show_value
from devsynthd.wire.requests import Value

SECONDS = [
    "llm_connect_timeout",
    "llm_first_token_timeout",
    "llm_idle_timeout",
    "daemon_poll_interval",
    "daemon_idle_poll_interval",
    "embedded_idle_timeout",
]
COUNTS = ["daemon_queue_limit", "embedded_context_length"]
CHOICES = {
    "llm_provider": ["lmstudio", "openai", "embedded"],
    "daemon_log_level": ["debug", "info", "warning", "error"],
    "daemon_log_format": ["auto", "text", "journal", "json"],
    "embedded_enabled": ["auto", "always", "never"],
}

TAKEN: list[tuple[str, object]] = [
    ("llm_temperature", 0),
    ("llm_temperature", 2),
    ("llm_max_tokens", -1),
    ("llm_max_tokens", 1),
    ("llm_max_tokens", MAX_COUNT),
    ("daemon_shutdown_grace", 0),
    ("daemon_shutdown_grace", MAX_SECONDS),
    ("embedded_threads", 0),
    ("embedded_threads", MAX_THREADS),
    ("daemon_max_concurrency", 1),
    ("daemon_max_concurrency", MAX_CONCURRENCY),
    ("llm_model", ""),
    ("llm_model", "publisher/Müller 7B@q4_k_m"),
    ("llm_model", "m" * 1024),
    ("llm_fallback_model", "m"),
    ("llm_api_key", "sk-~!"),
    ("llm_api_key", "k" * 4096),
    ("embedded_model_path", "~/models/größe 3.gguf"),
    *[(key, 1e-9) for key in SECONDS],
    *[(key, MAX_SECONDS) for key in SECONDS],
    *[(key, 1) for key in COUNTS],
    *[(key, MAX_COUNT) for key in COUNTS],
    *[(key, choice) for key, choices in CHOICES.items() for choice in choices],
]

REFUSED: list[tuple[str, object]] = [
    ("llm_temperature", -0.001),
    ("llm_temperature", 2.001),
    ("llm_temperature", "0.7"),
    ("llm_max_tokens", -2),
    ("llm_max_tokens", 0),
    ("llm_max_tokens", 1.5),
    ("llm_max_tokens", MAX_COUNT + 1),
    ("embedded_threads", MAX_THREADS + 1),
    ("daemon_max_concurrency", 0),
    ("daemon_max_concurrency", MAX_CONCURRENCY + 1),
    ("daemon_shutdown_grace", -0.001),
    ("embedded_threads", -1),
    ("llm_model", "a\nb"),
    ("llm_model", "a\n"),
    ("llm_model", "a\x00"),
    ("llm_model", "a\x9b"),
    ("llm_model", "a\udc80"),
    ("llm_model", "m" * 1025),
    ("llm_model", 7),
    ("llm_fallback_model", ""),
    ("llm_api_key", "two words"),
    ("llm_api_key", "naïve"),
    ("llm_api_key", "line\n"),
    ("llm_api_key", 12345),
    ("llm_ca_bundle", "p" * 4097),
    ("llm_api_base", "localhost:1234"),
    ("llm_api_base", "http://host/\nv1"),
    *[(key, 0) for key in SECONDS],
    *[(key, MAX_SECONDS + 1) for key in SECONDS],
    *[(key, 0) for key in COUNTS],
    *[(key, MAX_COUNT + 1) for key in COUNTS],
    *[(key, choices[0].upper()) for key, choices in CHOICES.items()],
    *[(key, "") for key in CHOICES],
    *[(setting.key, None) for setting in SETTINGS],
    *[(setting.key, []) for setting in SETTINGS],
    *[(setting.key, {}) for setting in SETTINGS],
    *[(setting.key, dt.date(2020, 1, 1)) for setting in SETTINGS],
    *[(setting.key, True) for setting in SETTINGS if setting.kind != "boolean"],
    *[(setting.key, 1) for setting in SETTINGS if setting.kind == "boolean"],
    *[
        (setting.key, number)
        for setting in SETTINGS
        if setting.kind in ("integer", "number")
        for number in (math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e308)
    ],
]


@pytest.mark.parametrize(("key", "value"), TAKEN)
def test_a_value_within_the_limits_is_taken(key: str, value: object) -> None:
    assert check_value(BY_KEY[key], value) == value


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_a_value_beyond_the_limits_is_refused_with_the_limits(key: str, value: object) -> None:
    with pytest.raises(NotAllowed) as caught:
        check_value(BY_KEY[key], value)

    assert BY_KEY[key].limits in str(caught.value)


def test_numbers_get_the_type_of_their_setting() -> None:
    assert type(check_value(BY_KEY["llm_max_tokens"], 4.0)) is int
    assert type(check_value(BY_KEY["llm_temperature"], 1)) is float


@pytest.mark.parametrize("text", ["true", "1", "yes", "on", "TRUE", "Yes", "oN", " true "])
def test_spellings_of_true(text: str) -> None:
    assert parse_value(BY_KEY["llm_auto_select_model"], text) is True


@pytest.mark.parametrize("text", ["false", "0", "no", "off", "False", "NO", "oFF", " 0 "])
def test_spellings_of_false(text: str) -> None:
    assert parse_value(BY_KEY["llm_auto_select_model"], text) is False


@pytest.mark.parametrize("text", ["", "2", "y", "n", "t", "enabled", "truee", "1.0", "-1"])
def test_nothing_else_is_a_boolean(text: str) -> None:
    with pytest.raises(NotAllowed, match="true or false"):
        parse_value(BY_KEY["llm_auto_select_model"], text)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("llm_max_tokens", "2048", 2048),
        ("llm_max_tokens", " +7 ", 7),
        ("llm_max_tokens", "-1", -1),
        ("llm_max_tokens", "007", 7),
        ("llm_max_tokens", "4.0", 4),
        ("llm_max_tokens", "1e3", 1000),
        ("llm_temperature", "0.8", 0.8),
        ("llm_temperature", "1", 1.0),
        ("llm_temperature", ".5", 0.5),
        ("llm_temperature", "1.", 1.0),
        ("llm_temperature", "5E-1", 0.5),
        ("llm_provider", "openai", "openai"),
        ("llm_model", " as is ", " as is "),
        ("llm_model", "true", "true"),
        ("llm_model", "7", "7"),
    ],
)
def test_text_becomes_a_typed_value(key: str, text: str, value: Value) -> None:
    parsed = parse_value(BY_KEY[key], text)

    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("key", ["llm_max_tokens", "llm_temperature"])
@pytest.mark.parametrize(
    "text",
    [
        *("", " ", ".", "abc", "nan", "inf", "-inf", "--1", "1_0", "0x1", "1,5", "1 0", "1e999"),
        "\u0661",  # a digit, but not an ASCII one
        "9" * 5000,
    ],
)
def test_text_that_is_no_number_is_refused(key: str, text: str) -> None:
    with pytest.raises(NotAllowed, match=r"it takes an? (integer|number) from"):
        parse_value(BY_KEY[key], text)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("llm_model", "a\x1b[31m\n", r"'a\x1b[31m\n'"),
        ("llm_model", "m" * 200, "'" + "m" * 79 + "…"),
        ("llm_model", True, "true"),
        ("llm_model", [1, "x"], '[1, "x"]'),
        ("llm_model", dt.date(2020, 1, 1), '"2020-01-01"'),
        ("llm_model", [1 << 100_000], "(a very long value)"),
        ("llm_model", "publisher/m@q4", "'publisher/m@q4'"),
        ("llm_api_key", "sk-hush", "(hidden)"),
        ("llm_api_key", ["sk-hush"], "(hidden)"),
        ("llm_api_base", "http://me:hush@host", "'…@host'"),
        ("llm_api_base", ["http://me:hush@host"], '…@host"]'),
    ],
)
def test_a_value_is_shown_short_and_without_secrets(key: str, value: object, shown: str) -> None:
    assert show_value(BY_KEY[key], value) == shown


def test_a_refusal_says_what_where_and_why() -> None:
    line = refusal(BY_KEY["llm_temperature"], "HERE", 3, NotAllowed("it takes less"))

    assert line == "HERE = 3 is not allowed: it takes less"
