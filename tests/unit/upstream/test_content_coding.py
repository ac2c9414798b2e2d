"""Bodies that a server compresses unasked: decoded in steps, whatever is in them."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPException

import pytest

from devsynthd.upstream.content_coding import MAX_STEP_BYTES, Inflater, inflater_for
from tests.support.upstream_attacks import bomb

TEXT = b"".join(b"%d," % number for number in range(50_000))


def _steps(inflater: Inflater, *parts: bytes) -> Iterator[bytes]:
    """Yield what each step gives of a body in *parts*."""
    for part in parts:
        yield inflater.step(part)
        while inflater.has_more:
            yield inflater.step()


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("part_bytes", [1, 7, 10_000, 10**9])
def test_a_body_is_the_same_wherever_it_is_cut(
    compress: Callable[[bytes], bytes], part_bytes: int
) -> None:
    data = compress(TEXT)
    parts = [data[at : at + part_bytes] for at in range(0, len(data), part_bytes)]

    assert b"".join(_steps(Inflater(), *parts)) == TEXT


def test_no_step_gives_more_than_a_step() -> None:
    data = bomb(b"x", mib=16)
    inflater = Inflater()
    tracemalloc.start()
    try:
        steps = [len(step) for step in _steps(inflater, data)]
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert sum(steps) == 16 * 2**20
    assert max(steps) == MAX_STEP_BYTES
    assert peak_bytes < 2**20


def test_what_comes_after_the_end_is_passed_over() -> None:
    inflater = Inflater()

    assert inflater.step(gzip.compress(b"x") + b"junk") == b"x"
    assert (inflater.step(b"more"), inflater.has_more) == (b"", False)


def test_what_is_not_compressed_is_refused() -> None:
    with pytest.raises(HTTPException, match="incorrect header"):
        Inflater().step(b"plain text")


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_no_coding_needs_nothing(coding: str) -> None:
    assert inflater_for(coding) is None


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "deflate, gzip", "odd"])
def test_no_other_coding_is_decoded_and_none_twice(coding: str) -> None:
    with pytest.raises(HTTPException, match="in the encoding"):
        inflater_for(coding)
