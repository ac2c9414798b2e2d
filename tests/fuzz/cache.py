"""The cache file at the start of a daemon: whatever is in it, the daemon starts and answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from devsynthd.catalog.cache import Cache, Cached
from devsynthd.catalog.cache_file import newest_models
from devsynthd.catalog.catalog import Origin
from devsynthd.upstream.base import Listing
from devsynthd.wire.limits import MAX_SAFE_INTEGER
from devsynthd.wire.objects import Instance, Model
from tests.fuzz.damage import near, torn
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target
from tests.support.daemon import start_daemon

NOBODY = "http://127.0.0.1:1/v1"
ORIGIN = Origin("openai", NOBODY)
_MODEL = Model(
    id="a",
    name="A",
    owner="x",
    kind="llm",
    loaded=True,
    instances=(Instance("a:2", 4096),),
    context_length=4096,
    max_context_length=8192,
    size_bytes=10**9,
    vision=False,
)
_LISTING = Listing("openai", (_MODEL, Model(id="b", name="b")), {"a:2": 4})
_RIGHT: list[Any] = [
    msgspec.to_builtins(
        Cached(origin=ORIGIN, generation=7, fetched_at=1.7e9, listing=_LISTING), str_keys=True
    ),
    msgspec.to_builtins(Cached(origin=ORIGIN, generation=7, fetched_at=None, listing=None)),
]

FILES: st.SearchStrategy[bytes] = mostly(torn(near(_RIGHT)), st.binary(max_size=60), tenths=9)
"""What a cache file may hold."""


@contextmanager
def _read(folder: Path) -> Iterator[Check]:
    cache = Cache(folder)

    def check(data: bytes) -> None:
        cache.path(ORIGIN).write_bytes(data)
        cached = cache.read(ORIGIN)
        if cached is not None:
            assert cached.origin == ORIGIN
            check_told(lambda: msgspec.msgpack.encode(cached))
            check_told(lambda: msgspec.json.encode(cached))
        # A daemon counts on from there, in numbers that every reader keeps exact.
        assert 0 <= cache.highest_generation() < MAX_SAFE_INTEGER
        newest_models(folder)

    yield check


def check_told(tell: Callable[[], bytes]) -> None:
    """Fail if what was read has no form in which it can be told."""
    assert tell()


@contextmanager
def _starts(folder: Path) -> Iterator[Check]:
    path = Cache(folder / "cache").path(ORIGIN)
    path.parent.mkdir()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        known = Cache(path.parent).read(ORIGIN)
        with start_daemon(folder, NOBODY, daemon_poll_interval=3600.0) as daemon:
            dealer = daemon.dealer()
            listed = dealer.ask(op="list", id=1)
            assert listed["type"] == "result", listed
            if known is not None and known.listing is not None and known.fetched_at is not None:
                ids = [model["id"] for model in listed["result"]["models"]]
                assert ids == [model.id for model in known.listing.models]
            for op in ("status", "ping"):
                assert dealer.ask(op=op, id=op)["type"] == "result"
            body = msgspec.json.encode({"op": "list", "id": 2})
            dealer.socket.send(body)
            assert msgspec.json.decode(dealer.socket.recv())["type"] == "result"

    yield check


CACHES = Target("caches", FILES, _read, share=50)
STARTS = Target("starts", FILES, _starts, share=3)
