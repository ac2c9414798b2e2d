"""Reloading in the real process: SIGHUP, the log, and a file that another user keeps to himself."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.upstream.weights import GGUF_MAGIC
from tests.support.daemon import DaemonProcess, daemon_process, toml_of
from tests.support.upstream_server import UpstreamServer

Save = Callable[..., None]


@pytest.fixture
def save(short_dir: Path, upstream: UpstreamServer) -> Save:
    """Return what writes the config file of the daemon to be, or that is."""

    def save(**settings: Any) -> None:  # noqa: ANN401 - any setting
        given = {"llm_provider": "openai", "llm_api_base": upstream.url}
        (short_dir / "config.toml").write_text(toml_of({**given, **settings}))

    save()
    return save


@pytest.fixture
def daemon(short_dir: Path, save: Save) -> Iterator[DaemonProcess]:
    del save  # it only has to have been called
    with daemon_process(short_dir) as running:
        yield running


def test_sighup_looks_again_even_if_the_file_says_the_same(
    daemon: DaemonProcess, save: Save, upstream: UpstreamServer
) -> None:
    """What a setting names may have changed: here a model file that was missing has come."""
    weights = daemon.socket.parent / "m.gguf"
    save(embedded_model_path=str(weights))
    daemon.wait_logged("no embedded engine: embedded_model_path")
    with Client(daemon.endpoint) as client:
        upstream.stop()
        listing = client.list(refresh=True)
        assert listing.selection.how == "auto"

        weights.write_bytes(GGUF_MAGIC)
        daemon.signal(signal.SIGHUP)

        assert client.list(since=listing.generation, timeout=10).selection.how == "fallback"


def test_sighup_with_a_bad_file_leaves_the_daemon_as_it_is(
    daemon: DaemonProcess, save: Save
) -> None:
    save(llm_max_tokens=0)
    daemon.signal(signal.SIGHUP)
    line = daemon.wait_logged("the settings stay as they were")

    assert json.loads(line)["level"] == "warning"
    assert "[llm] max_tokens = 0 is not allowed: 0 tokens are no answer" in line
    assert daemon.ctl("generate", "hi").stdout == "Hello world\n"


def test_sighup_tells_each_time_how_it_went(daemon: DaemonProcess, save: Save) -> None:
    daemon.signal(signal.SIGHUP)
    daemon.wait_logged("the settings are as they were")

    save(llm_max_tokens=0)
    daemon.wait_logged("0 tokens are no answer")
    told = daemon.log().count("the settings stay as they were")
    daemon.signal(signal.SIGHUP)
    with Client(daemon.endpoint) as client:
        while daemon.log().count("the settings stay as they were") == told:
            client.ping()


def test_a_key_that_others_can_read_is_warned_about(
    daemon: DaemonProcess, save: Save, short_dir: Path
) -> None:
    (short_dir / "config.toml").chmod(0o640)
    save(llm_api_key="hunter2")

    line = daemon.wait_logged("other users can read it")

    assert str(short_dir / "config.toml") in line
    assert "hunter2" not in daemon.log()


def test_the_level_and_the_format_of_the_log_change_while_it_runs(
    daemon: DaemonProcess, save: Save
) -> None:
    save(daemon_log_format="text", daemon_log_level="debug")
    line = daemon.wait_logged("info    settings changed: daemon_log_level")
    assert "daemon_log_format from 'auto' to 'text'" in line

    save(daemon_log_format="json", daemon_log_level="warning")
    daemon.ctl("reload")
    save(daemon_log_format="json", daemon_log_level="warning", llm_max_tokens=7)
    daemon.ctl("reload")

    save(daemon_log_format="json", daemon_log_level="info", llm_max_tokens=8)
    assert json.loads(daemon.wait_logged("llm_max_tokens from 7 to 8"))["level"] == "info"
    assert "from 1024 to 7" not in daemon.log()


def test_a_flag_wins_over_the_file_in_a_reload_too(short_dir: Path, save: Save) -> None:
    with daemon_process(short_dir, "--log-level", "warning") as daemon:
        save(daemon_log_level="debug", llm_max_tokens=7)

        daemon.ctl("reload")

        status = json.loads(daemon.ctl("status", "--json").stdout)
        assert status["config"]["overrides"] == ["daemon_log_level"]
        assert "settings changed" not in daemon.log()
