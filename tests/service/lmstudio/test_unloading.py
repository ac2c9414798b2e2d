"""``unload``, and what cannot manage models at all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from devsynthctl import Client
from devsynthd.upstream.weights import GGUF_MAGIC
from devsynthd.wire.errors import NotSupported
from tests.lmstudio import LMStudio, paths
from tests.service.lmstudio.asking import GEMMA, QWEN, RARELY_S, ids, model_in
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.upstream_server import UpstreamServer


def test_unload_by_the_model_ends_all_its_instances(client: Client, studio: LMStudio) -> None:
    """F6: LM Studio unloads by the instance; a model's name means all of them."""
    for name in (QWEN, QWEN, GEMMA):
        studio.load(name)

    outcome = client.unload(QWEN)

    assert (outcome.model, outcome.instance_ids) == (QWEN, (QWEN, f"{QWEN}:2"))
    listed = client.list()
    assert model_in(listed, QWEN).loaded is False
    assert model_in(listed, GEMMA).loaded
    sent = [exchange.body for exchange in studio.requests(path=paths.UNLOAD)]
    assert sent == [{"instance_id": QWEN}, {"instance_id": f"{QWEN}:2"}]


def test_unload_by_the_instance_ends_that_one(client: Client, studio: LMStudio) -> None:
    """F6."""
    for _ in range(2):
        studio.load(QWEN)

    outcome = client.unload(f"{QWEN}:2")

    assert (outcome.model, outcome.instance_ids) == (QWEN, (f"{QWEN}:2",))
    model = model_in(client.list(), QWEN)
    assert [instance.id for instance in model.instances] == [QWEN]


def test_unload_of_what_is_not_loaded(client: Client, studio: LMStudio) -> None:
    outcome = client.unload(QWEN)

    assert (outcome.model, outcome.instance_ids) == (QWEN, ())
    assert studio.requests(path=paths.UNLOAD) == []


# Where it cannot be done -------------------------------------------------------------------


@pytest.fixture(params=["v0", "openai", "another server", "embedded"])
def unable(request: pytest.FixtureRequest, short_dir: Path) -> Iterator[RunningDaemon]:
    """Return a daemon whose upstream cannot manage models; each has one called ``m``."""
    settings: dict[str, Any] = {"daemon_poll_interval": RARELY_S}
    if request.param in {"v0", "openai"}:
        with (
            LMStudio(request.param, ["m"]) as studio,
            start_daemon(short_dir, studio.url, llm_provider="lmstudio", **settings) as daemon,
        ):
            yield daemon
    elif request.param == "another server":
        with UpstreamServer(["m"]) as server, start_daemon(short_dir, server, **settings) as daemon:
            yield daemon
    else:
        settings |= {"llm_provider": "embedded", "llm_fallback_model": "m"}
        weights = short_dir / "m.gguf"
        weights.write_bytes(GGUF_MAGIC)
        settings |= {"embedded_model_path": str(weights)}
        with start_daemon(short_dir, "http://unused", **settings) as daemon:
            yield daemon


def test_upstream_that_cannot(unable: RunningDaemon) -> None:
    client = unable.client()
    assert ids(client.list()) == ["m"]
    for ask in (client.load, client.unload, client.download):
        with pytest.raises(NotSupported) as caught:
            ask("m")
        is_engine = client.list().source.provider == "embedded"
        assert ("embedded_model_path" if is_engine else "LM Studio") in (caught.value.hint or "")
    assert client.ping()


@pytest.mark.parametrize("op", ["load", "download"])
def test_progress_is_not_for_req_sockets(daemon: RunningDaemon, studio: LMStudio, op: str) -> None:
    reply = daemon.dealer(zmq.REQ).ask(op=op, id=1, model=QWEN, progress=True)

    assert (reply["type"], reply["error"]["code"]) == ("error", "bad_request")
    assert studio.requests(method="POST") == []


def test_req_socket_loads_without_progress(daemon: RunningDaemon) -> None:
    reply = daemon.dealer(zmq.REQ).ask(op="load", id=1, model=QWEN)

    assert (reply["type"], reply["result"]["instance_id"]) == ("result", QWEN)
