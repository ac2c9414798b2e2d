"""The file that keeps the list for the next start."""

import logging
from pathlib import Path

import msgspec
import pytest

from devsynthd.catalog.cache import MAX_FILE_BYTES, Cache, Cached
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
    cache = Cache(tmp_path / "new" / "folder")

    cache.write(cached())

    path = cache.path(HERE)
    assert Cache(tmp_path / "new" / "folder").read(HERE) == cached()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_without_a_folder_nothing_is_kept() -> None:
    cache = Cache(None)

    cache.write(cached())

    assert cache.read(HERE) is None
    assert cache.highest_generation() == 0
    assert not cache.path(HERE).parent.exists()


def test_the_list_of_another_server_is_never_served(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.write(cached())

    assert cache.read(THERE) is None
    cache.path(THERE).write_bytes(cache.path(HERE).read_bytes())
    assert cache.read(THERE) is None


def test_the_highest_generation_of_all_files_is_known(tmp_path: Path) -> None:
    assert Cache(tmp_path / "missing").highest_generation() == 0
    cache = Cache(tmp_path)
    cache.write(cached(generation=12))
    cache.write(cached(THERE, generation=5))

    assert cache.highest_generation() == 12


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"\xff\xfe", b'{"origin": 1}', b"[" * 100_000),
        b"\0" * (MAX_FILE_BYTES + 1),
        msgspec.json.encode(cached(generation=-1)),
        # The next one would not be exact in every reader, or have no form in MessagePack at all.
        msgspec.json.encode(cached(generation=2**53)),
        msgspec.json.encode(cached(generation=7)).replace(b":7,", b":%d," % 2**64),
        msgspec.json.encode(cached()).replace(b":4096}", b":%d}" % 2**64),
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_corrupt_file_is_ignored_with_a_warning(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Cache(tmp_path)
    cache.path(HERE).write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert cache.read(HERE) is None

    assert str(cache.path(HERE)) in caplog.text
    assert cache.highest_generation() == 0
