"""A daemon on a disk that fails when it starts, when somebody saves, and when it ends."""

import errno
import logging
from pathlib import Path

import pytest

from devsynthd.catalog.cache import Cache, Cached
from devsynthd.catalog.catalog import Origin
from devsynthd.plan import make_plan
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.events import ConfigNews
from tests.faults.failing_disk import FailingDisk
from tests.support.daemon import start_daemon
from tests.support.upstream_server import UpstreamServer


def failing(*kinds: str) -> FailingDisk:
    disk = FailingDisk()
    disk.fail_every(kinds, errno.EIO)
    return disk


def test_a_config_file_that_cannot_be_read_keeps_the_daemon_from_starting(short_dir: Path) -> None:
    """Not the defaults: they might do what the file forbids."""
    file, socket = short_dir / "config.toml", short_dir / "s.sock"

    with pytest.raises(ConfigInvalid, match=r"config\.toml cannot be read: Input/output error"):
        make_plan(str(file), str(socket), {}, {}, disk=failing("read"))


def test_a_cache_file_that_cannot_be_read_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin("openai", "http://localhost:1/v1")
    Cache(tmp_path).write(Cached(origin=origin, generation=7, fetched_at=None, listing=None))
    cache = Cache(tmp_path, failing("read"))

    with caplog.at_level(logging.WARNING):
        assert cache.read(origin) is None

    assert "ignored: [Errno 5] Input/output error" in caplog.text
    assert cache.highest_generation() == 0


def test_what_is_saved_meanwhile_is_taken_over_once_it_can_be_read(short_dir: Path) -> None:
    disk = FailingDisk()
    with (
        UpstreamServer() as upstream,
        start_daemon(short_dir, upstream, llm_max_tokens=5, disk=disk) as daemon,
        daemon.client() as client,
        client.subscribe(["config"]) as events,
    ):
        assert isinstance(first := next(events).data, ConfigNews)
        file = short_dir / "config.toml"
        disk.fail_every(("read",), errno.EIO)
        saved = file.read_text().replace("= 5", "= 6")
        file.with_suffix(".new").write_text(saved)
        file.with_suffix(".new").replace(file)
        assert isinstance(refused := next(events).data, ConfigNews)
        assert client.config_get("llm_max_tokens").settings[0].value == 5
        disk.mend()
        file.touch()
        assert isinstance(taken := next(events).data, ConfigNews)

    assert (first.valid, refused.valid, taken.valid) == (True, False, True)
    assert "Input/output error" in str(refused.error)
    assert taken.changed == ("llm_max_tokens",)


def test_a_list_that_could_not_be_kept_is_kept_at_the_end(short_dir: Path) -> None:
    disk = FailingDisk()
    with (
        UpstreamServer() as upstream,
        start_daemon(short_dir, upstream, disk=disk) as daemon,
        daemon.client() as client,
    ):
        origin = Origin("openai", upstream.url)
        cache = Cache(short_dir / "cache")
        before = client.list(refresh=True).generation
        while (kept := cache.read(origin)) is None or kept.generation < before:
            client.ping()
        disk.fail_every(("rename",), errno.EIO)
        upstream.models = ["after"]
        told = client.list(refresh=True)
        while not disk.failed:
            client.ping()
        disk.mend()
    kept = Cache(short_dir / "cache").read(origin)

    assert kept is not None
    assert kept.listing is not None
    assert [model.id for model in kept.listing.models] == ["after"]
    assert kept.generation >= told.generation
    assert [each.name for each in (short_dir / "cache").iterdir()] == [
        Cache(short_dir / "cache").path(origin).name
    ]
