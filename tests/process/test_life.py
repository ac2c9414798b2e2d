"""Each way to end the daemon, whatever it is doing: status, files, log and children."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devsynthd.upstream.weights import GGUF_MAGIC
from tests.engine.processes import needs_pidfd, watched
from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.needs import need_package
from tests.support.upstream_replies import silence, silence_after
from tests.support.upstream_server import UpstreamServer

ENGINES = Path(__file__).parents[1] / "engine" / "engines"

End = Callable[[DaemonProcess], None]


def terminate(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGTERM)


def interrupt(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGINT)


def shut_down(daemon: DaemonProcess) -> None:
    assert daemon.ctl("shutdown").returncode == 0


ENDS = [terminate, interrupt, shut_down]


@pytest.fixture
def busy(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    """Return a daemon that generates one thing at a time, and ends within 0.3 s."""
    environ = asks(upstream, daemon_max_concurrency="1", daemon_shutdown_grace="0.3")
    with daemon_process(short_dir, environ=environ) as running:
        yield running


def assert_clean_end(daemon: DaemonProcess) -> None:
    """Check that it ended as it should, and left what it should."""
    assert daemon.wait() == 0
    assert not daemon.socket.exists()
    assert daemon.socket.with_name("s.sock.lock").exists()
    log = daemon.log()
    assert log.index("draining") < log.index("stopped")
    assert "Traceback" not in log
    assert '"level": "error"' not in log


@pytest.mark.parametrize("end", ENDS)
def test_idle(busy: DaemonProcess, end: End) -> None:
    end(busy)

    assert_clean_end(busy)
    assert "grace are over" not in busy.log()


@pytest.mark.parametrize("end", ENDS)
def test_while_one_streams_one_waits_for_words_and_one_is_queued(
    short_dir: Path, upstream: UpstreamServer, end: End
) -> None:
    upstream.script.extend([silence_after("a"), silence()])
    environ = asks(upstream, daemon_max_concurrency="2", daemon_shutdown_grace="0.3")
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        dealer.send(op="generate", id="streams", prompt="hi", stream=True)
        assert dealer.receive()["text"] == "a"
        dealer.send(op="generate", id="waits", prompt="hi")
        upstream.wait_generation(2)
        dealer.send(op="generate", id="queued", prompt="hi")
        assert dealer.ask(op="ping", id="read")["type"] == "result"
        end(daemon)

        replies = [dealer.receive() for _ in range(3)]
        codes = {reply["id"]: reply["error"]["code"] for reply in replies}
        assert codes == {"streams": "cancelled", "waits": "cancelled", "queued": "shutting_down"}
        assert next(iter(codes)) == "queued"
        assert_clean_end(daemon)
        assert "0.3 s of grace are over: cancelling 2 requests" in daemon.log()
        upstream.wait_disconnected()
        assert len(upstream.generations) == 2


def test_a_reload_while_a_generation_runs_ends_nothing(
    busy: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("a"))
    with contextlib.closing(Dealer(busy.endpoint)) as dealer:
        dealer.send(op="generate", id="streams", prompt="hi", stream=True)
        assert dealer.receive()["text"] == "a"
        busy.signal(signal.SIGHUP)
        busy.wait_logged("the settings are as they were")
        requests = dealer.ask(op="status", id="status")["result"]["requests"]
        assert [request["state"] for request in requests if request["op"] == "generate"] == [
            "streaming"
        ]
        terminate(busy)

        assert dealer.receive()["error"]["code"] == "cancelled"
        assert_clean_end(busy)


def test_a_hangup_during_the_end_changes_nothing(
    busy: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("a"))
    with contextlib.closing(Dealer(busy.endpoint)) as dealer:
        dealer.send(op="generate", id="streams", prompt="hi", stream=True)
        assert dealer.receive()["text"] == "a"
        terminate(busy)
        busy.wait_logged("draining")
        busy.signal(signal.SIGHUP)

        assert dealer.receive()["error"]["code"] == "cancelled"
        assert_clean_end(busy)


# The embedded engine ---------------------------------------------------------------------------


@needs_pidfd
@pytest.mark.timeout(60)
@pytest.mark.parametrize("end", ENDS)
def test_while_the_embedded_engine_loads(short_dir: Path, end: End) -> None:
    """It loads from a pipe that a test reads, and for ever: no thread of its own can notice."""
    need_package("xllamacpp", "pip install -e '.[embedded]'")
    model = short_dir / "model.gguf"
    model.write_bytes(GGUF_MAGIC)
    environ = {
        "DEVSYNTH_LLM_PROVIDER": "embedded",
        "DEVSYNTH_EMBEDDED_MODEL_PATH": str(model),
        "DEVSYNTH_DAEMON_SHUTDOWN_GRACE": "0.3",
        "PYTHONPATH": str(ENGINES / "holds_the_lock"),
    }
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        model.unlink()
        os.mkfifo(model)
        dealer.send(op="generate", id="waits", prompt="hi")
        engine = int(model.read_text(encoding="utf-8"))
        with watched(engine) as ended:
            end(daemon)

            assert dealer.receive()["error"]["code"] == "cancelled"
            assert_clean_end(daemon)
            assert ended()
