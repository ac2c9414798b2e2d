"""``config_get``, ``config_set`` and ``reload``, and what ``select`` writes."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthd.settings.schema import SETTINGS
from tests.service.asking import RARELY_S, error, result, wait_status
from tests.service.settings_asking import in_force, save, setting, wait_config
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_server import UpstreamServer


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "config.toml"


def change(dealer: Dealer, key: str, value: object) -> dict[str, Any]:
    return result(dealer.ask(op="config_set", id=f"set {key}", key=key, value=value))


def refused(dealer: Dealer, key: str, value: object) -> dict[str, Any]:
    problem = error(dealer.ask(op="config_set", id="bad", key=key, value=value))
    assert problem["code"] == "config_invalid"
    assert not problem["retryable"]
    return problem


def codes(outcome: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in outcome["warnings"]]


# config_get ------------------------------------------------------------------------------------


def test_all_settings_are_told_in_the_order_of_the_file(dealer: Dealer) -> None:
    settings = result(dealer.ask(op="config_get", id=1))["settings"]

    assert [each["key"] for each in settings] == [each.key for each in SETTINGS]
    fields = {"key", "value", "source", "default", "description", "secret"}
    assert all(set(each) == fields for each in settings)


def test_each_source_is_told(short_dir: Path, upstream: UpstreamServer) -> None:
    environ = {"DEVSYNTH_LLM_TEMPERATURE": "0.1", "DEVSYNTH_LLM_MAX_TOKENS": "5"}
    flags = {"daemon_log_level": "debug"}
    given: dict[str, Any] = {"llm_max_tokens": 7, "llm_idle_timeout": 9}
    given["daemon_log_level"] = "error"
    with start_daemon(short_dir, upstream, environ=environ, flags=flags, **given) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="select", id=1, model="b", persist=False)

        for key, value, source in (
            ("llm_model", "b", "selected"),
            ("daemon_log_level", "debug", "flag"),
            ("llm_temperature", 0.1, "env"),
            ("llm_max_tokens", 5, "env"),
            ("llm_idle_timeout", 9, "file"),
            ("llm_connect_timeout", 3, "default"),
        ):
            told = setting(dealer, key)
            assert (told["value"], told["source"]) == (value, source)
        assert wait_config(dealer, valid=True)["overrides"] == [
            "llm_max_tokens",
            "daemon_log_level",
        ]


def test_a_secret_is_masked(short_dir: Path, upstream: UpstreamServer) -> None:
    with start_daemon(short_dir, upstream, llm_api_key="hunter2") as daemon:
        dealer = daemon.dealer()

        assert setting(dealer, "llm_api_key")["value"] == "********"
        assert setting(dealer, "llm_api_key")["secret"] is True
        assert "hunter2" not in str(result(dealer.ask(op="config_get", id=1)))
        outcome = change(dealer, "llm_api_key", "hunter3")
        assert (outcome["value"], outcome["effective"]) == ("********", "********")
        assert change(dealer, "llm_api_key", None)["effective"] == ""


@pytest.mark.parametrize("op", [{"op": "config_get"}, {"op": "config_set", "value": 1}])
def test_an_unknown_key_is_an_error_with_the_nearest_one(
    dealer: Dealer, op: dict[str, Any]
) -> None:
    problem = error(dealer.ask(**op, id=1, key="llm_modle"))

    assert problem["code"] == "config_invalid"
    assert "llm_modle" in problem["message"]
    assert "llm_model" in problem["hint"]


# config_set ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("llm_max_tokens", 7, 7),
        ("llm_max_tokens", 7.0, 7),
        ("llm_max_tokens", "-1", -1),
        ("llm_temperature", 1, 1),
        ("llm_temperature", " 0.5 ", 0.5),
        ("llm_auto_select_model", "Off", False),
        ("llm_auto_select_model", True, True),
        ("llm_provider", "openai", "openai"),
        ("llm_fallback_model", 'it\'s "quoted" \\ ünïcode', 'it\'s "quoted" \\ ünïcode'),
    ],
)
def test_a_value_is_written_and_in_force(
    dealer: Dealer, path: Path, key: str, value: object, written: object
) -> None:
    before = path.read_text()

    outcome = change(dealer, key, value)

    assert outcome == {
        "key": key,
        "value": written,
        "effective": written,
        "source": "file",
        "warnings": [],
    }
    assert in_force(dealer, key) == written
    assert set(before.splitlines()) - set(path.read_text().splitlines()) <= {
        'provider = "openai"',
    }


def test_null_unsets(dealer: Dealer, path: Path) -> None:
    change(dealer, "llm_max_tokens", 7)

    outcome = change(dealer, "llm_max_tokens", None)

    assert (outcome["value"], outcome["effective"], outcome["source"]) == (None, 1024, "default")
    assert "max_tokens" not in path.read_text()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("llm_max_tokens", 0, "0 tokens are no answer"),
        ("llm_max_tokens", "many", "an integer from 1"),
        ("llm_max_tokens", True, "an integer from 1"),
        ("llm_temperature", 2.1, "from 0 to 2"),
        ("llm_auto_select_model", 1, "true or false"),
        ("llm_auto_select_model", "", "true or false"),
        ("llm_provider", "lmstudo", "lmstudio, openai or embedded"),
        ("llm_api_base", "http://me:hunter2@host", "user and password"),
        ("llm_api_key", "hunter2 with spaces", "without spaces"),
        ("llm_api_base", "http://a%zz/", "not a usable URL"),
        ("llm_ca_bundle", "/etc/passwd", "/etc/passwd is not a file of CA certificates"),
        ("llm_ca_bundle", "/none.pem", "/none.pem is not a file of CA certificates"),
        ("embedded_enabled", "always", "/none.gguf is not a file that can be read"),
    ],
)
def test_what_is_not_allowed_is_refused_and_nothing_is_written(
    short_dir: Path,
    path: Path,
    upstream: UpstreamServer,
    key: str,
    value: object,
    told: str,
) -> None:
    given: dict[str, Any] = {"embedded_model_path": "/none.gguf"}
    with start_daemon(short_dir, upstream, **given) as daemon:
        dealer = daemon.dealer()
        before = path.read_bytes(), path.stat().st_mtime_ns
        problem = refused(dealer, key, value)

        assert told in problem["message"]
        assert "hunter2" not in str(problem)
        assert (path.read_bytes(), path.stat().st_mtime_ns) == before
        assert wait_config(dealer, valid=True)["config_generation"] == 1


def test_a_number_of_any_length_is_refused(dealer: Dealer) -> None:
    body = b'{"op": "config_set", "id": 1, "key": "llm_max_tokens", "value": 1%s}' % (b"0" * 5000)
    dealer.socket.send(body)

    reply = json.loads(dealer.socket.recv())

    assert reply["type"] == "error"
    assert reply["error"]["code"] in {"config_invalid", "bad_request"}


def test_a_long_number_costs_no_time(dealer: Dealer) -> None:
    refused(dealer, "llm_temperature", "1" * 1_000_000 + "x")


def test_the_environment_hides_what_is_written_and_that_is_told(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, environ={"DEVSYNTH_LLM_MAX_TOKENS": "5"}) as daemon:
        outcome = change(daemon.dealer(), "llm_max_tokens", 7)

    assert (outcome["value"], outcome["effective"], outcome["source"]) == (7, 5, "env")
    assert codes(outcome) == ["env_override"]
    assert "DEVSYNTH_LLM_MAX_TOKENS" in outcome["warnings"][0]["message"]
    assert "max_tokens = 7" in path.read_text()


def test_a_model_that_is_not_listed_is_written_with_a_warning(dealer: Dealer) -> None:
    outcome = change(dealer, "llm_model", "c")

    assert codes(outcome) == ["not_listed"]
    assert outcome["effective"] == "c"
    assert codes(change(dealer, "llm_model", "a")) == []
    assert codes(change(dealer, "llm_model", "")) == []


def test_a_model_that_is_set_ends_what_select_has_set(dealer: Dealer) -> None:
    change(dealer, "llm_model", "a")
    dealer.ask(op="select", id=1, model="b", persist=False)

    outcome = change(dealer, "llm_model", "a")  # the file says so already

    assert (outcome["effective"], outcome["source"]) == ("a", "file")


@pytest.mark.parametrize("how", ["config_set", "file"])
def test_automatic_selection_ends_when_it_is_switched_off(
    dealer: Dealer, path: Path, how: str
) -> None:
    result(dealer.ask(op="select", id=1, model=None))
    assert setting(dealer, "llm_auto_select_model")["value"] is True

    if how == "config_set":
        outcome = change(dealer, "llm_auto_select_model", "false")
        assert (outcome["effective"], outcome["source"]) == (False, "file")
    else:
        path.write_text(path.read_text().replace("[llm]", "[llm]\nauto_select_model = false"))
        result(dealer.ask(op="reload", id=2))

    told = setting(dealer, "llm_auto_select_model")
    assert (told["value"], told["source"]) == (False, "file")
    assert error(dealer.ask(op="generate", id=3, prompt="x"))["code"] == "no_model"


def test_a_selected_model_does_not_end_when_automatic_selection_changes(dealer: Dealer) -> None:
    result(dealer.ask(op="select", id=1, model="b", persist=False))

    change(dealer, "llm_auto_select_model", "off")

    assert setting(dealer, "llm_model")["source"] == "selected"


def test_a_model_that_is_misspelt_is_written_with_near_ones(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.models = ["qwen/qwen3-8b"]
    dealer.ask(op="list", id=1, refresh=True)

    (warning,) = change(dealer, "llm_model", "qwen/qwen3-9b")["warnings"]

    assert warning["message"].endswith("did you mean qwen/qwen3-8b?")


def test_a_mistake_elsewhere_in_the_file_keeps_it_from_being_written(
    dealer: Dealer, path: Path
) -> None:
    path.write_text("[llm]\nmax_tokens = 0\ntemperature = 9\n")
    wait_config(dealer, valid=False)

    problem = refused(dealer, "llm_idle_timeout", 5)
    assert "line 2" in problem["message"]
    assert "line 3" in problem["message"]

    path.write_text("[llm]\nmax_tokens = 0\n")
    assert change(dealer, "llm_max_tokens", 7)["effective"] == 7  # and so it is mended
    assert wait_config(dealer, valid=True)["error"] is None


def test_comments_survive(dealer: Dealer, path: Path) -> None:
    text = path.read_text()
    path.write_text(f"# mine\n{text}# the end\n")

    change(dealer, "llm_max_tokens", 7)

    assert path.read_text().startswith("# mine\n")
    assert path.read_text().rstrip().endswith("# the end")


def test_a_file_that_is_not_there_is_made_for_its_owner_only(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    path.unlink()
    wait_config(dealer, exists=False)

    change(dealer, "llm_api_base", upstream.url)

    assert path.stat().st_mode & 0o777 == 0o600
    assert wait_config(dealer, exists=True)["valid"]


# reload ----------------------------------------------------------------------------------------


def test_reload_tells_what_changed(dealer: Dealer, path: Path, upstream: UpstreamServer) -> None:
    before = wait_config(dealer, valid=True)["config_generation"]
    save(
        path,
        llm_provider="openai",
        llm_api_base=upstream.url,
        daemon_poll_interval=RARELY_S,
        daemon_shutdown_grace=1.0,
        llm_max_tokens=7,
        llm_api_key="x",
    )

    outcome = result(dealer.ask(op="reload", id=1))

    assert outcome["config_generation"] == before + 1
    # Nothing, if the watch was quicker.
    assert outcome["changed"] in (["llm_max_tokens", "llm_api_key"], [])
    assert in_force(dealer, "llm_max_tokens") == 7


# select ----------------------------------------------------------------------------------------


def test_a_selection_is_written_and_outlives_the_daemon(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)

        outcome = result(dealer.ask(op="select", id=2, model="b"))

        assert outcome["persisted"] is True
        assert outcome["warnings"] == []
        assert outcome["previous"] is None
        assert outcome["selection"]["how"] == "selected"
        assert 'model = "b"' in path.read_text()
    with start_daemon(short_dir, upstream, config=path) as daemon:
        told = setting(daemon.dealer(), "llm_model")
        assert (told["value"], told["source"]) == ("b", "file")


def test_what_was_written_does_not_end_the_selection(dealer: Dealer) -> None:
    result(dealer.ask(op="select", id=1, model="b"))
    result(dealer.ask(op="reload", id=2))

    assert setting(dealer, "llm_model")["source"] == "selected"


def test_automatic_selection_is_written_too(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    given: dict[str, Any] = {"llm_model": "b", "llm_auto_select_model": False}
    with start_daemon(short_dir, upstream, **given) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id="first")  # which waits for the first poll

        outcome = result(dealer.ask(op="select", id=1, model=None))

        assert outcome["persisted"] is True
        assert outcome["previous"] == "b"
        assert outcome["selection"]["how"] == "auto"
        assert setting(dealer, "llm_auto_select_model")["value"] is True
    text = path.read_text()
    assert 'model = ""' in text
    assert "auto_select_model = true" in text


def test_automatic_selection_writes_nothing_where_the_file_says_nothing(
    dealer: Dealer, path: Path
) -> None:
    before = path.read_bytes()

    outcome = result(dealer.ask(op="select", id=1, model=None))

    assert outcome["persisted"] is True
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("model", "environ", "hidden"),
    [
        ("b", {"DEVSYNTH_LLM_MODEL": "a"}, ["DEVSYNTH_LLM_MODEL"]),
        ("b", {"DEVSYNTH_LLM_MODEL": "b"}, []),
        (None, {"DEVSYNTH_LLM_MODEL": "a"}, ["DEVSYNTH_LLM_MODEL"]),
        (
            None,
            {"DEVSYNTH_LLM_MODEL": "a", "DEVSYNTH_LLM_AUTO_SELECT_MODEL": "no"},
            ["DEVSYNTH_LLM_MODEL", "DEVSYNTH_LLM_AUTO_SELECT_MODEL"],
        ),
    ],
)
def test_a_selection_holds_for_this_run_even_where_the_environment_will_hide_it(
    short_dir: Path,
    upstream: UpstreamServer,
    model: str | None,
    environ: dict[str, str],
    hidden: list[str],
) -> None:
    with start_daemon(short_dir, upstream, environ=environ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id="first")  # which waits for the first poll

        outcome = result(dealer.ask(op="select", id=1, model=model))

        assert outcome["selection"]["model"] == (model or "a")
        assert outcome["selection"]["how"] == ("selected" if model else "auto")
        assert codes(outcome) == ["env_override"] * len(hidden)
        for name, warning in zip(hidden, outcome["warnings"], strict=True):
            assert name in warning["message"]


def test_a_selection_that_cannot_be_written_holds_until_the_end(dealer: Dealer, path: Path) -> None:
    path.write_text("[llm\n")
    wait_config(dealer, valid=False)

    outcome = result(dealer.ask(op="select", id=1, model="b"))

    assert outcome["persisted"] is False
    assert codes(outcome) == ["not_persisted"]
    assert "line 1" in outcome["warnings"][0]["message"]
    assert outcome["selection"]["model"] == "b"
    assert path.read_text() == "[llm\n"


def test_two_who_write_at_once_lose_nothing(daemon: RunningDaemon, path: Path) -> None:
    first, second = daemon.dealer(), daemon.dealer()
    rounds = 20
    for number in range(rounds):
        first.send(op="config_set", id=number, key="llm_max_tokens", value=number + 1)
        second.send(op="config_set", id=number, key="llm_idle_timeout", value=number + 1)
    for dealer in (first, second):
        for _ in range(rounds):
            assert dealer.receive()["type"] == "result"

    assert in_force(first, "llm_max_tokens") == rounds
    assert in_force(first, "llm_idle_timeout") == rounds
    assert f"max_tokens = {rounds}" in path.read_text()


def test_a_selection_right_after_another_is_what_the_file_says(dealer: Dealer, path: Path) -> None:
    change(dealer, "llm_model", "a")
    for number, model in enumerate(("b", "a")):
        dealer.send(op="select", id=number, model=model)

    outcomes = [result(dealer.receive()) for _ in range(2)]

    assert [outcome["persisted"] for outcome in outcomes] == [True, True]
    assert [codes(outcome) for outcome in outcomes] == [[], []]
    assert 'model = "a"' in path.read_text()
    assert in_force(dealer, "llm_model") == "a"


# Requests that end early -----------------------------------------------------------------------


@contextlib.contextmanager
def folder_locked(path: Path) -> Iterator[None]:
    """Keep writers of *path* waiting, as another one would."""
    fd = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_what_was_begun_is_finished_although_nobody_waits_any_more(
    daemon: RunningDaemon, dealer: Dealer, path: Path
) -> None:
    with folder_locked(path):
        late = error(dealer.ask(op="config_set", id=1, key="llm_max_tokens", value=7, timeout=0.2))
        assert late["code"] == "deadline_exceeded"
        other = daemon.dealer()
        other.send(op="config_set", id=2, key="llm_max_tokens", value=8)

    assert result(other.receive())["effective"] == 8
    assert "max_tokens = 8" in path.read_text()
    assert in_force(dealer, "llm_max_tokens") == 8


def test_what_was_not_begun_when_nobody_waited_any_more_is_not_done(
    daemon: RunningDaemon, dealer: Dealer, path: Path
) -> None:
    first, last = daemon.dealer(), daemon.dealer()
    with folder_locked(path):
        first.send(op="config_set", id=1, key="llm_max_tokens", value=7)
        wait_status(last, lambda report: len(report["requests"]) == 1)
        late = error(dealer.ask(op="config_set", id=2, key="llm_model", value="x", timeout=0.2))
        assert late["code"] == "deadline_exceeded"

    assert result(first.receive())["effective"] == 7
    assert result(last.ask(op="reload", id=3))["changed"] == []
    assert in_force(dealer, "llm_model") == ""
