"""A saved config file and the embedded engine, with a real language model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import UpstreamUnavailable
from tests.engine.processes import child_of, needs_pidfd
from tests.support.daemon import DaemonProcess, daemon_process, toml_of
from tests.support.upstream_server import UpstreamServer, free_port

pytestmark = [pytest.mark.timeout(60), needs_pidfd]

Save = Callable[..., None]


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[tuple[DaemonProcess, Client, Save]]:  # noqa: ANN401 - any setting
    """Run a daemon; give it, a client, and what saves other settings and has them in force."""
    path = folder / "config.toml"
    given = {"llm_temperature": 0, "embedded_threads": 1, "daemon_shutdown_grace": 40, **settings}
    path.write_text(toml_of(given))
    with daemon_process(folder) as daemon, Client(daemon.endpoint) as client:

        def save(**more: Any) -> None:  # noqa: ANN401
            path.write_text(toml_of({**given, **more}))
            client.reload()

        yield daemon, client, save


def test_another_context_is_taken_up_when_the_engine_is_idle(
    short_dir: Path, weights: Path
) -> None:
    settings = {
        "llm_provider": "embedded",
        "embedded_model_path": str(weights),
        "embedded_context_length": 512,
    }
    with running(short_dir, **settings) as (daemon, client, save):
        with client.stream("Write a long story.", max_tokens=40) as story:
            next(story)
            pid = child_of(daemon.process.pid)
            save(**settings | {"embedded_context_length": 1024})
            assert client.list(refresh=True).models[0].context_length == 512
            rest = "".join(chunk.text for chunk in story)
        assert rest
        assert story.result.warnings[0].code == "truncated"

        listing = client.list(refresh=True)
        assert listing.models[0].loaded is False
        client.generate("Say hello.", max_tokens=4)
        assert client.list(refresh=True).models[0].context_length == 1024
        assert child_of(daemon.process.pid) != pid


def test_another_name_is_in_force_at_once_and_the_engine_runs_on(
    short_dir: Path, weights: Path
) -> None:
    settings = {"llm_provider": "embedded", "embedded_model_path": str(weights)}
    with running(short_dir, **settings) as (daemon, client, save):
        assert client.generate("Say hello.", max_tokens=4).model == "local_model"
        pid = child_of(daemon.process.pid)

        save(**settings, llm_fallback_model="toy")

        assert [model.id for model in client.list().models] == ["toy"]
        answer = client.generate("Say hello.", model="toy", max_tokens=4)
        assert (answer.model, [each.code for each in answer.warnings]) == ("toy", ["truncated"])
        assert child_of(daemon.process.pid) == pid


def test_the_stand_in_can_be_switched_on_and_off(short_dir: Path, weights: Path) -> None:
    gone = {
        "llm_provider": "openai",
        "llm_api_base": f"http://127.0.0.1:{free_port()}/v1",
    }
    with running(short_dir, **gone) as (_, client, save):
        with pytest.raises(UpstreamUnavailable):
            client.generate("Say hello.", max_tokens=4)

        save(**gone, embedded_model_path=str(weights))
        assert client.generate("Say hello.", max_tokens=4).fallback

        save(**gone, embedded_model_path=str(weights), embedded_enabled="never")
        with pytest.raises(UpstreamUnavailable):
            client.generate("Say hello.", max_tokens=4)


def test_the_provider_can_be_changed_there_and_back(short_dir: Path, weights: Path) -> None:
    embedded = {"llm_provider": "embedded", "embedded_model_path": str(weights)}
    with UpstreamServer(["m"]) as server, running(short_dir, **embedded) as (_, client, save):
        assert client.generate("Say hello.", max_tokens=4).model == "local_model"

        save(**embedded | {"llm_provider": "openai", "llm_api_base": server.url})
        assert client.generate("hi").text == "Hello world"
        assert client.list().source.provider == "openai"

        save(**embedded)
        assert client.generate("Say hello.", max_tokens=4).model == "local_model"
        assert client.list().source.provider == "embedded"
