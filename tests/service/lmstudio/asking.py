"""What the tests of this folder ask a daemon, and how they wait for its answers."""

import time
from collections.abc import Callable

from devsynthctl import Client
from devsynthd.wire.errors import UpstreamUnavailable
from devsynthd.wire.objects import Model
from devsynthd.wire.results import Completion, Models, StatusReport
from tests.lmstudio import LMStudio, paths
from tests.support.daemon import RunningDaemon

QWEN = "qwen/qwen3-4b"
GEMMA = "google/gemma-3-4b"
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"

RARELY_S = 3600.0
"""A poll interval that is over after the test."""

OFTEN_S = 0.02
"""A poll interval that a test need not wait for."""

LIMIT_S = 10.0
"""Nothing that a test waits for takes this long."""


def codes(listed: Models | Completion) -> list[str]:
    """Return the codes of the warnings in *listed*."""
    return [warning.code for warning in listed.warnings]


def ids(listed: Models) -> list[str]:
    return [model.id for model in listed.models]


def model_in(listed: Models, model_id: str) -> Model:
    """Return the model with this id, which is listed once."""
    (found,) = [model for model in listed.models if model.id == model_id]
    return found


def refreshed(client: Client) -> Models:
    """Return the list as the upstream tells it now."""
    client.list()  # the first poll may be under way, and older than what has just been changed
    return client.list(refresh=True)


def asked_models(studio: LMStudio) -> list[str]:
    """Return which models the generations so far were sent to, in order."""
    return [str(chat.body["model"]) for chat in studio.requests(path=paths.CHAT)]


def paths_asked(studio: LMStudio, *, after: int = 0) -> list[str]:
    """Return the paths of all requests but the first *after*, in order."""
    return [exchange.path for exchange in studio.requests()[after:]]


def wait_changed(client: Client, since: int) -> Models:
    """Return the list once its generation is another than *since*, which it outgrows."""
    listed = client.list(since=since, timeout=LIMIT_S)
    assert listed.generation > since, listed
    return listed


def wait_list(client: Client, since: int, holds: Callable[[Models], bool]) -> Models:
    """Return the first list after *since* of which *holds* is true, over any steps between."""
    listed = wait_changed(client, since)
    while not holds(listed):
        listed = wait_changed(client, listed.generation)
    return listed


def wait_status(daemon: RunningDaemon, holds: Callable[[StatusReport], bool]) -> StatusReport:
    """Return the first status of which *holds* is true."""
    client, deadline = daemon.client(), time.monotonic() + LIMIT_S
    while not holds(report := client.status()):
        assert time.monotonic() < deadline, report
    return report


def answered(client: Client) -> Completion:
    """Return the first answer: for a second after a failed poll, its failure still counts."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return client.generate("x")
        except UpstreamUnavailable:
            assert time.monotonic() < deadline
