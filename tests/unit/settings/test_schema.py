import msgspec
import pytest

from devsynthd.settings.schema import BY_KEY, MASK, SETTINGS, TABLES, Setting, Settings
from devsynthd.settings.values import check_value
from devsynthd.wire.requests import Value

DEFAULTS: dict[str, Value] = {
    "llm_provider": "lmstudio",
    "llm_api_base": "http://localhost:1234/v1",
    "llm_model": "",
    "llm_max_tokens": 1024,
    "llm_temperature": 0.7,
    "llm_auto_select_model": True,
    "llm_api_key": "",
    "llm_fallback_model": "local_model",
    "llm_connect_timeout": 3,
    "llm_first_token_timeout": 300,
    "llm_idle_timeout": 120,
    "llm_ca_bundle": "",
    "daemon_poll_interval": 5,
    "daemon_idle_poll_interval": 60,
    "daemon_max_concurrency": 4,
    "daemon_queue_limit": 64,
    "daemon_shutdown_grace": 10,
    "daemon_log_level": "info",
    "daemon_log_format": "auto",
    "embedded_enabled": "auto",
    "embedded_model_path": "",
    "embedded_context_length": 4096,
    "embedded_threads": 0,
    "embedded_idle_timeout": 300,
}


def test_the_settings_and_their_defaults_are_the_promised_ones() -> None:
    assert msgspec.structs.asdict(Settings()) == DEFAULTS
    assert {setting.key: setting.default for setting in SETTINGS} == DEFAULTS


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_default_is_a_value_that_may_be_set(setting: Setting) -> None:
    assert check_value(setting, setting.default) == setting.default


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_one_rule_maps_the_three_spellings(setting: Setting) -> None:
    assert setting.key == f"{setting.table}_{setting.name}"
    assert setting.env == f"DEVSYNTH_{setting.key}".upper()
    assert setting.table in TABLES


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_says_what_it_means_and_takes(setting: Setting) -> None:
    assert setting.description.endswith(".")
    assert setting.limits
    assert all(choice in setting.limits for choice in setting.choices)


def test_choices_keep_the_order_they_are_declared_in() -> None:
    assert BY_KEY["daemon_log_level"].choices == ("debug", "info", "warning", "error")


def test_limits_are_told_in_words() -> None:
    assert BY_KEY["llm_temperature"].limits == "a number from 0 to 2"
    assert BY_KEY["llm_max_tokens"].limits == "an integer from 1 to 2147483647, or -1"
    assert BY_KEY["llm_provider"].limits == "lmstudio, openai or embedded"
    assert BY_KEY["daemon_shutdown_grace"].limits == "a number of seconds from 0 to 2147483"
    assert BY_KEY["llm_idle_timeout"].limits == "a number of seconds above 0, at most 2147483"
    assert BY_KEY["llm_auto_select_model"].limits == "true or false"


def test_only_the_api_key_is_secret() -> None:
    assert [setting.key for setting in SETTINGS if setting.secret] == ["llm_api_key"]


def test_only_what_the_engine_starts_with_waits_until_it_is_idle() -> None:
    assert [setting.key for setting in SETTINGS if setting.in_force != "at once"] == [
        "embedded_model_path",
        "embedded_context_length",
        "embedded_threads",
    ]


def test_help_is_meaning_limits_and_when_a_change_is_in_force() -> None:
    assert BY_KEY["llm_temperature"].help == (
        "How freely tokens are drawn; 0: always the likeliest one. Takes a number from 0 to 2."
    )
    assert BY_KEY["embedded_threads"].meaning == (
        "Threads that the engine computes with; 0: one a core. A change is in force when the "
        "engine is idle."
    )


def test_the_secret_is_shown_nowhere() -> None:
    settings = Settings(llm_api_key="sk-hush")

    assert "sk-hush" not in f"{settings} {settings!r} {settings.__rich_repr__()}"
    assert f"llm_api_key='{MASK}'" in repr(settings)
    assert "llm_api_key=''" in repr(Settings())
