"""Settings change all the time while many clients generate: no answer suffers from it."""

import random
import threading
from pathlib import Path

from devsynthctl import Client
from devsynthd.wire.errors import DevsynthError
from tests.service.asking import RARELY_S
from tests.support.daemon import start_daemon, toml_of
from tests.support.upstream_server import UpstreamServer

ROUNDS = 40
CLIENTS = 6
SEED = 20_261_124


def generate_until(stop: threading.Event, client: Client, faults: list[str]) -> None:
    """Stream one answer after the other; note each that is not the whole one."""
    while not stop.is_set():
        try:
            with client.stream("hi") as stream:
                text = "".join(chunk.text for chunk in stream)
        except DevsynthError as exc:
            faults.append(f"{exc.code}: {exc}")
        else:
            if text != "Hello world" or stream.result.warnings:
                faults.append(f"{text!r}: {stream.result.warnings}")


def test_every_answer_is_whole(short_dir: Path) -> None:
    dice = random.Random(SEED)  # noqa: S311 - the same each time
    path, stop, faults = short_dir / "config.toml", threading.Event(), list[str]()
    with (
        UpstreamServer(["m", "n"]) as one,
        UpstreamServer(["m"]) as two,
        start_daemon(short_dir, one, daemon_poll_interval=RARELY_S) as daemon,
    ):
        clients = [daemon.client() for _ in range(CLIENTS)]
        threads = [
            threading.Thread(target=generate_until, args=(stop, client, faults))
            for client in clients
        ]
        for thread in threads:
            thread.start()
        watcher = daemon.client()
        for number in range(ROUNDS):
            settings = {
                "llm_provider": "openai",
                "llm_api_base": dice.choice([one, two]).url,
                "llm_api_key": dice.choice(["", "a", "b"]),
                "llm_model": "m",
                "llm_max_tokens": number + 1,
                "daemon_max_concurrency": dice.randint(1, 8),
                "daemon_poll_interval": dice.choice([0.05, RARELY_S]),
                "daemon_shutdown_grace": 1.0,
            }
            path.write_text(toml_of(settings))
            assert watcher.reload().config_generation > number
        stop.set()
        for thread in threads:
            thread.join(10)
        answered = watcher.status().totals.generations

    assert faults == []
    assert answered > ROUNDS
