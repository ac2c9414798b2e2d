"""The file that keeps the list for the next start."""

import logging
from pathlib import Path

import pytest

from devsynthd.catalog.cache import MAX_FILE_BYTES, Cached, CacheFile
from devsynthd.catalog.catalog import Origin
from devsynthd.upstream.base import Listing
from devsynthd.wire.objects import Instance, Model

HERE = Origin("lmstudio", "http://localhost:1234/v1")
THERE = Origin("lmstudio", "http://elsewhere:1234/v1")


def cached(origin: Origin = HERE, generation: int = 7) -> Cached:
    model = Model(id="m", name="M", loaded=True, instances=(Instance("m:2", 4096),))
    return Cached(
        origin=origin,
        generation=generation,
        fetched_at=1.5,
        listing=Listing("openai", (model,)),
    )


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    file = CacheFile(tmp_path / "new" / "folder", HERE)

    file.write(cached())

    assert CacheFile(tmp_path / "new" / "folder", HERE).read() == cached()
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_the_list_of_another_server_is_never_served(tmp_path: Path) -> None:
    CacheFile(tmp_path, HERE).write(cached())
    other = CacheFile(tmp_path, THERE)

    assert other.read() is None
    other.path.write_bytes(CacheFile(tmp_path, HERE).path.read_bytes())
    assert other.read() is None


def test_the_highest_generation_of_all_files_is_known(tmp_path: Path) -> None:
    assert CacheFile(tmp_path / "missing", HERE).highest_generation() == 0
    CacheFile(tmp_path, HERE).write(cached(generation=12))
    CacheFile(tmp_path, THERE).write(cached(THERE, generation=5))

    assert CacheFile(tmp_path, THERE).highest_generation() == 12


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"origin": 1}', b"[" * 100_000, b"\0" * (MAX_FILE_BYTES + 1)],
)
def test_a_corrupt_file_is_ignored_with_a_warning(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = CacheFile(tmp_path, HERE)
    file.path.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert file.read() is None

    assert str(file.path) in caplog.text
    assert file.highest_generation() == 0
