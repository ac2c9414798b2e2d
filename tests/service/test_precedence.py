"""Which source wins, for each pair of neighbours, and that the winner is the one that is told."""

from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import RARELY_S, result
from tests.service.settings_asking import setting
from tests.support.daemon import start_daemon
from tests.support.upstream_server import UpstreamServer

# The value that each source gives, the highest first.
MODELS = {"request": "r", "selected": "s", "env": "e", "file": "f", "default": ""}
TOKENS = {"request": 1, "env": 2, "file": 3, "default": 1024}
LEVELS = {"flag": "debug", "env": "warning", "file": "error", "default": "info"}


def from_highest(sources: dict[str, object]) -> list[list[str]]:
    """Return the sources, then without the highest, and so on: each has to beat all below it."""
    names = list(sources)
    return [names[start:] for start in range(len(names))]


@pytest.mark.parametrize("given", from_highest(dict(MODELS)), ids=lambda given: given[0])
def test_the_model(short_dir: Path, given: list[str]) -> None:
    with UpstreamServer(["auto", *filter(None, MODELS.values())]) as upstream:
        in_file: dict[str, Any] = {"daemon_poll_interval": RARELY_S}
        in_file |= {"llm_model": MODELS["file"]} if "file" in given else {}
        environ = {"DEVSYNTH_LLM_MODEL": MODELS["env"]} if "env" in given else {}
        with start_daemon(short_dir, upstream, environ=environ, **in_file) as daemon:
            dealer = daemon.dealer()
            if "selected" in given:
                dealer.ask(op="select", id=1, model=MODELS["selected"], persist=False)
            named = {"model": MODELS["request"]} if "request" in given else {}

            answered = result(dealer.ask(op="generate", id=2, prompt="x", **named))["model"]

            assert answered == (MODELS[given[0]] or "auto")
            told = setting(dealer, "llm_model")
            highest = next(name for name in given if name != "request")
            assert (told["value"], told["source"]) == (MODELS[highest], highest)


@pytest.mark.parametrize("given", from_highest(dict(TOKENS)), ids=lambda given: given[0])
def test_a_number(short_dir: Path, upstream: UpstreamServer, given: list[str]) -> None:
    in_file: dict[str, Any] = {"llm_max_tokens": TOKENS["file"]} if "file" in given else {}
    environ = {"DEVSYNTH_LLM_MAX_TOKENS": str(TOKENS["env"])} if "env" in given else {}
    with start_daemon(short_dir, upstream, environ=environ, **in_file) as daemon:
        dealer = daemon.dealer()
        named = {"max_tokens": TOKENS["request"]} if "request" in given else {}

        result(dealer.ask(op="generate", id=1, prompt="x", **named))

        assert upstream.generations[0].body["max_tokens"] == TOKENS[given[0]]
        told = setting(dealer, "llm_max_tokens")
        highest = next(name for name in given if name != "request")
        assert (told["value"], told["source"]) == (TOKENS[highest], highest)


@pytest.mark.parametrize("given", from_highest(dict(LEVELS)), ids=lambda given: given[0])
def test_what_has_a_flag(short_dir: Path, upstream: UpstreamServer, given: list[str]) -> None:
    in_file: dict[str, Any] = {"daemon_log_level": LEVELS["file"]} if "file" in given else {}
    environ = {"DEVSYNTH_DAEMON_LOG_LEVEL": LEVELS["env"]} if "env" in given else {}
    flags = {"daemon_log_level": LEVELS["flag"]} if "flag" in given else {}
    with start_daemon(short_dir, upstream, environ=environ, flags=flags, **in_file) as daemon:
        told = setting(daemon.dealer(), "daemon_log_level")

    assert (told["value"], told["source"]) == (LEVELS[given[0]], given[0])


def test_an_empty_variable_is_none(short_dir: Path, upstream: UpstreamServer) -> None:
    environ = {"DEVSYNTH_LLM_MAX_TOKENS": ""}
    with start_daemon(short_dir, upstream, environ=environ, llm_max_tokens=3) as daemon:
        told = setting(daemon.dealer(), "llm_max_tokens")

    assert (told["value"], told["source"]) == (3, "file")
