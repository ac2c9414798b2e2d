"""What a saved config file changes in the running daemon, and what it leaves as it was."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lmstudio import LMStudio
from tests.service.asking import (
    error,
    held,
    listing,
    result,
    until_answered,
    wait_queue,
)
from tests.service.settings_asking import (
    basic,
    in_force,
    save,
    setting,
    wait_config,
    wait_in_force,
)
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, tokens, unauthorized
from tests.support.upstream_server import UpstreamServer, free_port


@pytest.fixture
def other() -> Iterator[UpstreamServer]:
    """Return another server, to which the base may be changed."""
    with UpstreamServer(["x", "y"]) as server:
        yield server


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "config.toml"


def listed(dealer: Dealer, **fields: object) -> dict[str, Any]:
    return result(dealer.ask(op="list", id="list", **fields))


def let_one_run_and_one_wait(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    """Fill the one place that there is, and have another generation wait for it."""
    dealer.send(op="generate", id="runs", prompt="x")
    upstream.wait_generation()
    dealer.send(op="generate", id="waits", prompt="x")
    wait_queue(daemon.dealer(), running=1, waiting=1)


def ids(models: dict[str, Any]) -> list[str]:
    return [model["id"] for model in models["models"]]


# The upstream ----------------------------------------------------------------------------------


def test_another_base_is_polled_at_once(
    daemon: RunningDaemon, dealer: Dealer, path: Path, other: UpstreamServer
) -> None:
    before = listed(dealer)
    watcher = daemon.dealer()
    watcher.send(op="list", id="next", since=before["generation"])

    save(path, **basic(other))

    changed = result(watcher.receive())
    assert changed["generation"] > before["generation"]
    other.wait_list()
    now = listed(dealer)
    assert ids(now) == ["x", "y"]
    assert now["source"]["api_base"] == other.url
    assert now["selection"]["model"] == "x"
    assert len(other.lists) == 1


def test_the_list_of_the_old_base_is_never_served_for_the_new_one(
    dealer: Dealer, path: Path
) -> None:
    assert ids(listed(dealer)) == ["a", "b"]
    gone = f"http://127.0.0.1:{free_port()}/v1"

    save(path, **basic(gone))
    wait_in_force(dealer, "llm_api_base", gone)

    now = listed(dealer)
    assert ids(now) == ["local_model"]
    assert now["source"]["api_base"] == gone
    assert not now["source"]["reachable"]


def test_what_is_in_the_cache_of_the_new_base_is_served_at_once(
    short_dir: Path, path: Path, upstream: UpstreamServer, other: UpstreamServer
) -> None:
    url = other.url
    with start_daemon(short_dir, url, **basic(url)) as daemon:
        assert ids(listed(daemon.dealer())) == ["x", "y"]
    other.stop()
    with start_daemon(short_dir, upstream, **basic(upstream)) as daemon:
        dealer = daemon.dealer()
        assert ids(listed(dealer)) == ["a", "b"]

        save(path, **basic(url))
        wait_in_force(dealer, "llm_api_base", url)

        now = listed(dealer)
        assert ids(now) == ["x", "y"]
        assert now["source"]["stale"]


def test_a_generation_that_runs_ends_where_it_began(
    dealer: Dealer, path: Path, upstream: UpstreamServer, other: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", "c", gate=gate))
    dealer.send(op="generate", id="old", prompt="x", stream=True)
    gate.step()
    assert dealer.receive()["text"] == "a"

    save(path, **basic(other, daemon_max_concurrency=3, llm_idle_timeout=7))
    other.wait_list()
    assert result(dealer.ask(op="generate", id="new", prompt="x"))["model"] == "x"
    gate.step(3)

    *_, last = until_answered(dealer, "old")
    assert result(last)["text"] == "abc"
    assert result(last)["warnings"] == []
    assert len(other.generations) == 1


def test_a_generation_that_waits_for_its_turn_goes_to_the_new_base(
    short_dir: Path, path: Path, upstream: UpstreamServer, other: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", gate=gate))
    with start_daemon(short_dir, upstream, **basic(upstream, daemon_max_concurrency=1)) as daemon:
        dealer = daemon.dealer()
        let_one_run_and_one_wait(daemon, dealer, upstream)

        save(path, **basic(other, daemon_max_concurrency=1))
        other.wait_list()
        gate.step(2)

        first, second = until_answered(dealer, "runs", "waits")
        assert (first["id"], result(first)["model"]) == ("runs", "a")
        assert (second["id"], result(second)["model"]) == ("waits", "x")


def test_a_generation_that_waits_for_an_upstream_gets_the_new_one(
    short_dir: Path, path: Path, other: UpstreamServer
) -> None:
    wrong = f"http://127.0.0.1:{free_port()}/v1"
    with start_daemon(short_dir, wrong, **basic(wrong)) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="waits", prompt="x", wait=60)
        wait_config(watcher, valid=True)

        save(path, **basic(other))

        assert result(dealer.receive())["model"] == "x"


def test_another_key_is_used_and_polled_with_at_once(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", gate=gate))
    dealer.send(op="generate", id="old", prompt="x")
    upstream.wait_generation()
    asked = len(upstream.lists)

    save(path, **basic(upstream, llm_api_key="hunter2"))

    assert upstream.wait_list(asked + 1).headers["authorization"] == "Bearer hunter2"
    assert result(dealer.ask(op="generate", id="new", prompt="x"))
    gate.step(2)
    assert result(dealer.receive())["text"] == "a"
    old, new = upstream.generations
    assert "authorization" not in old.headers
    assert new.headers["authorization"] == "Bearer hunter2"


def test_whoever_asks_after_the_key_was_corrected_is_not_told_of_the_old_one(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    upstream.models_reply = unauthorized()
    with start_daemon(short_dir, upstream, **basic(upstream)) as daemon:
        dealer = daemon.dealer()
        assert error(dealer.ask(op="generate", id=1, prompt="x"))["code"] == "upstream_auth"
        gate = Gate()
        upstream.models_reply = held(gate, listing({"id": "a"}))

        save(path, **basic(upstream, llm_api_key="right"))
        wait_in_force(dealer, "llm_api_key", "********")
        dealer.send(op="generate", id=2, prompt="x")
        dealer.send(op="select", id=3, model="a", persist=False)
        gate.step()

        answers = {reply["id"]: result(reply) for reply in until_answered(dealer, 2, 3)}
        assert answers[2]["model"] == "a"
        assert answers[3]["selection"]["available"] is True


def test_another_provider(dealer: Dealer, path: Path) -> None:
    with LMStudio(models=["m"]) as studio:
        save(path, **basic(studio.url, llm_provider="lmstudio"))
        wait_in_force(dealer, "llm_provider", "lmstudio")

        now = listed(dealer)
        assert ids(now) == ["m"]
        assert now["source"]["api"] == "lmstudio-v1"


def test_a_poll_of_a_silent_server_is_given_up_for_the_new_one(
    short_dir: Path, path: Path, upstream: UpstreamServer, other: UpstreamServer
) -> None:
    upstream.models_reply = silence()
    with start_daemon(short_dir, upstream, **basic(upstream)) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="list", id="waits", refresh=True)
        upstream.wait_list()
        wait_config(watcher, valid=True)

        save(path, **basic(other))

        assert ids(result(dealer.receive())) == ["x", "y"]


def test_new_timeouts_hold_for_the_next_generation(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    save(path, **basic(upstream, llm_first_token_timeout=0.2))
    wait_in_force(dealer, "llm_first_token_timeout", 0.2)
    upstream.script.append(silence())

    assert error(dealer.ask(op="generate", id=1, prompt="x"))["code"] == "upstream_timeout"


def test_a_shorter_interval_is_polled_with_at_once(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    asked = len(upstream.lists)

    save(path, **basic(upstream) | {"daemon_poll_interval": 0.05})

    upstream.wait_list(asked + 3)
    assert in_force(dealer, "daemon_poll_interval") == 0.05


# Which model, and how --------------------------------------------------------------------------


def test_the_model_and_the_defaults_of_the_next_generation(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    save(path, **basic(upstream, llm_model="b", llm_max_tokens=7, llm_temperature=0.1))
    wait_in_force(dealer, "llm_model", "b")

    result(dealer.ask(op="generate", id=1, prompt="x"))

    sent = upstream.generations[0].body
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("b", 7, 0.1)
    assert listed(dealer)["selection"]["how"] == "configured"


def test_auto_selection_off_and_the_name_of_the_fallback(dealer: Dealer, path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}/v1"
    save(path, **basic(gone, llm_auto_select_model=False, llm_fallback_model="nobody"))
    wait_in_force(dealer, "llm_fallback_model", "nobody")

    assert ids(listed(dealer)) == ["nobody"]
    assert in_force(dealer, "llm_auto_select_model") is False


def test_what_select_has_set_outlives_other_changes_but_not_one_of_the_model(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    result(dealer.ask(op="select", id=1, model="b", persist=False))

    save(path, **basic(upstream, llm_max_tokens=7))
    wait_in_force(dealer, "llm_max_tokens", 7)
    assert setting(dealer, "llm_model")["source"] == "selected"
    assert listed(dealer)["selection"]["model"] == "b"

    save(path, **basic(upstream, llm_max_tokens=7, llm_model="a"))
    wait_in_force(dealer, "llm_model", "a")
    assert setting(dealer, "llm_model")["source"] == "file"
    assert listed(dealer)["selection"]["model"] == "a"


# Turns -----------------------------------------------------------------------------------------


def test_lowered_concurrency_takes_effect_as_slots_free_up(
    dealer: Dealer, daemon: RunningDaemon, path: Path, upstream: UpstreamServer
) -> None:
    gates = [Gate() for _ in range(4)]
    upstream.script.extend(tokens("t", gate=gate) for gate in gates)
    watcher = daemon.dealer()
    for number in range(3):
        dealer.send(op="generate", id=number, prompt="x")
        upstream.wait_generation(number + 1)

    save(path, **basic(upstream, daemon_max_concurrency=1))
    wait_in_force(watcher, "daemon_max_concurrency", 1)
    dealer.send(op="generate", id=3, prompt="x")

    assert wait_queue(watcher, running=3, waiting=1)["queue"]["max_concurrency"] == 1
    for number, running in ((0, 2), (1, 1)):
        gates[number].step(2)
        until_answered(dealer, number)
        wait_queue(watcher, running=running, waiting=1)
    gates[2].step(2)
    until_answered(dealer, 2)
    wait_queue(watcher, running=1, waiting=0)
    gates[3].step(2)
    until_answered(dealer, 3)


def test_raised_concurrency_lets_the_next_one_start_at_once(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("t", gate=gate))
    with start_daemon(short_dir, upstream, **basic(upstream, daemon_max_concurrency=1)) as daemon:
        dealer = daemon.dealer()
        let_one_run_and_one_wait(daemon, dealer, upstream)

        save(path, **basic(upstream, daemon_max_concurrency=2))

        assert dealer.receive()["id"] == "waits"
        gate.step(2)
        assert dealer.receive()["id"] == "runs"


def test_a_lower_queue_limit_refuses_the_next_one(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("t", gate=gate))
    with start_daemon(short_dir, upstream, **basic(upstream, daemon_max_concurrency=1)) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        save(path, **basic(upstream, daemon_max_concurrency=1, daemon_queue_limit=1))
        wait_in_force(watcher, "daemon_queue_limit", 1)

        dealer.send(op="generate", id="waits", prompt="x")
        wait_queue(watcher, running=1, waiting=1)

        assert error(dealer.ask(op="generate", id="late", prompt="x"))["code"] == "queue_full"
        gate.step(2)


# What is told ---------------------------------------------------------------------------------


def test_what_changed_is_logged_and_a_secret_is_not(
    short_dir: Path, path: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), start_daemon(short_dir, upstream) as daemon:
        dealer = daemon.dealer()
        save(path, **basic(upstream, llm_api_key="hunter2", llm_max_tokens=7))
        wait_in_force(dealer, "llm_max_tokens", 7)

        save(path, **basic(upstream, llm_api_key="hunter3", llm_max_tokens=7))
        wait_config(dealer, config_generation=3)

    assert "llm_max_tokens from 1024 to 7" in caplog.text
    assert "settings changed: llm_api_key\n" in caplog.text
    assert "hunter" not in caplog.text


def test_an_environment_variable_hides_what_is_saved(
    short_dir: Path, path: Path, upstream: UpstreamServer
) -> None:
    environ = {"DEVSYNTH_LLM_MAX_TOKENS": "5"}
    with start_daemon(short_dir, upstream, environ=environ) as daemon:
        dealer = daemon.dealer()

        save(path, **basic(upstream, llm_max_tokens=7))

        config = wait_config(dealer, overrides=["llm_max_tokens"])
        assert config["valid"]
        assert in_force(dealer, "llm_max_tokens") == 5
        assert setting(dealer, "llm_max_tokens")["source"] == "env"


def test_a_list_asked_for_by_nobody_is_not_polled_for_a_change_that_needs_none(
    dealer: Dealer, path: Path, upstream: UpstreamServer
) -> None:
    asked = len(upstream.lists)
    upstream.models_reply = listing({"id": "new"})

    save(path, **basic(upstream, llm_max_tokens=7))
    wait_in_force(dealer, "llm_max_tokens", 7)

    assert len(upstream.lists) == asked
    assert ids(listed(dealer)) == ["a", "b"]
