"""What one run of the daemon leaves to the next: the last good list and the generation."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import RARELY_S, error, result
from tests.support.daemon import start_daemon
from tests.support.upstream_server import UpstreamServer, free_port


def listed(folder: Path, upstream: UpstreamServer | str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
    """Return the first list of a daemon that runs for just this."""
    with start_daemon(folder, upstream, daemon_poll_interval=RARELY_S, **settings) as daemon:
        return result(daemon.dealer().ask(op="list", id=1))


def ids(models: dict[str, Any]) -> list[str]:
    return [model["id"] for model in models["models"]]


def cache_file(folder: Path) -> Path:
    (path,) = (folder / "cache").glob("models-*.json")
    return path


def test_list_survives_and_the_generation_goes_on(short_dir: Path) -> None:
    with UpstreamServer(["a", "b"]) as upstream:
        url = upstream.url
        first = listed(short_dir, upstream)

    second = listed(short_dir, url)

    assert ids(second) == ["a", "b"]
    assert [warning["code"] for warning in second["warnings"]] == ["stale"]
    source = second["source"]
    assert (source["reachable"], source["stale"], source["api"]) == (False, True, "openai")
    assert source["fetched_at"] == first["source"]["fetched_at"]
    assert source["age_s"] > first["source"]["age_s"]
    assert second["selection"]["model"] == "a"
    assert second["generation"] > first["generation"]
    assert listed(short_dir, url)["generation"] > second["generation"]


def test_cached_list_is_replaced_by_a_fresh_one(short_dir: Path) -> None:
    with UpstreamServer(["a"]) as upstream:
        first = listed(short_dir, upstream)
        upstream.models = ["b"]
        with start_daemon(short_dir, upstream) as daemon:
            fresh = result(daemon.dealer().ask(op="list", id=1, refresh=True))

    assert ids(fresh) == ["b"]
    assert fresh["warnings"] == []
    assert fresh["generation"] > first["generation"]


def test_cached_list_is_no_reason_to_answer(short_dir: Path) -> None:
    with UpstreamServer(["a"]) as upstream:
        url = upstream.url
        listed(short_dir, upstream)
    with start_daemon(short_dir, url) as daemon:
        dealer = daemon.dealer()

        problem = error(dealer.ask(op="generate", id=1, prompt="x"))

        assert problem["code"] == "upstream_unavailable"
        assert url in problem["message"]


def test_selection_ends_with_the_run(short_dir: Path, upstream: UpstreamServer) -> None:
    with start_daemon(short_dir, upstream) as daemon:
        daemon.dealer().ask(op="select", id=1, model="b", persist=False)

    assert listed(short_dir, upstream)["selection"]["model"] == "a"


def test_cache_is_private(short_dir: Path, upstream: UpstreamServer) -> None:
    listed(short_dir, upstream)

    assert cache_file(short_dir).stat().st_mode & 0o777 == 0o600
    assert list((short_dir / "cache").iterdir()) == [cache_file(short_dir)]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{not json", id="not JSON"),
        pytest.param(b"[]", id="another shape"),
        pytest.param(b'{"generation": "x"}', id="wrong types"),
        pytest.param(b"\xff\xfe\0", id="not text"),
        pytest.param(b"[" * 100_000, id="nested"),
    ],
)
def test_corrupt_cache_is_ignored_with_a_warning(
    short_dir: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    with UpstreamServer(["a"]) as upstream:
        url = upstream.url
        listed(short_dir, upstream)
    path = cache_file(short_dir)
    path.write_bytes(content)

    models = listed(short_dir, url)

    assert ids(models) == ["local_model"]
    assert models["generation"] >= 1
    warnings = [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]
    assert any(str(path) in warning for warning in warnings)


def test_list_of_another_server_is_never_served(short_dir: Path) -> None:
    with UpstreamServer(["a"]) as upstream:
        url = upstream.url
        first = listed(short_dir, upstream)

    other = listed(short_dir, f"http://127.0.0.1:{free_port()}/v1")
    same_place = listed(short_dir, url.removesuffix("/v1"), llm_provider="lmstudio")

    assert ids(other) == ids(same_place) == ["local_model"]
    assert first["generation"] < other["generation"] < same_place["generation"]


def test_cache_that_cannot_be_written_costs_one_warning(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    (short_dir / "cache").write_text("in the way")

    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=0)  # its first poll is over
        for number in range(3):
            upstream.models = [f"m{number}"]
            assert ids(result(dealer.ask(op="list", id=1, refresh=True))) == [f"m{number}"]

    messages = [record.getMessage() for record in caplog.records]
    assert len([message for message in messages if "cannot write the cache" in message]) == 1
