import pytest

from devsynthd.upstream.chunks import (
    MAX_SIZE_LINE_BYTES,
    MAX_TRAILER_BYTES,
    ChunkDecoder,
    PlainBody,
)

TABLE = [
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    (b"A;name=value\r\n0\r\n\r\n1234\n\r\n0\r\n\r\n", b"0\r\n\r\n1234\n"),
    (b"1\nx\n0\n\n", b"x"),
    (b"1\r\nx\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\n", b"x"),
    (b"0\r\n\r\n", b""),
]


@pytest.mark.parametrize(("chunks", "expected"), TABLE)
def test_chunks_give_the_same_body_wherever_they_are_cut(chunks: bytes, expected: bytes) -> None:
    for cut in range(len(chunks)):
        decoder = ChunkDecoder()
        body = decoder.feed(chunks[:cut])
        assert not decoder.done
        assert body + decoder.feed(chunks[cut:]) == expected, cut
        assert decoder.done
    decoder = ChunkDecoder()
    assert b"".join(decoder.feed(bytes([byte])) for byte in chunks) == expected
    assert decoder.done


@pytest.mark.parametrize(
    "chunks",
    [
        b"no size\r\n",
        b"-1\r\n",
        b"\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1" * (MAX_SIZE_LINE_BYTES + 1),
    ],
)
def test_anything_else_is_refused(chunks: bytes) -> None:
    with pytest.raises(ValueError, match=r"chunk|invalid literal"):
        ChunkDecoder().feed(chunks)


def test_what_comes_after_the_last_chunk_is_noticed() -> None:
    decoder = ChunkDecoder()

    assert decoder.feed(b"1\r\nx\r\n0\r\n\r\nHTTP") == b"x"
    assert (decoder.done, decoder.surplus) == (True, True)


def test_a_body_of_a_length_ends_after_it() -> None:
    body = PlainBody(5)

    assert (body.feed(b"ab"), body.done) == (b"ab", False)
    assert (body.feed(b"cde"), body.done, body.surplus) == (b"cde", True, False)
    assert not body.ends_anywhere


def test_more_than_its_length_is_not_the_bodys() -> None:
    body = PlainBody(2)

    assert (body.feed(b"abc"), body.done, body.surplus) == (b"ab", True, True)


def test_a_body_of_no_length_has_ended_before_it_begins() -> None:
    assert PlainBody(0).done


def test_a_body_without_a_length_may_end_anywhere() -> None:
    body = PlainBody(None)

    assert body.feed(b"abc") == b"abc"
    assert (body.done, body.ends_anywhere) == (False, True)


@pytest.mark.parametrize("part", [b"X: x\r\n", b"X: " + b"x" * 4000 + b"\r\n"])
def test_a_trailer_has_a_greatest_size(part: bytes) -> None:
    decoder = ChunkDecoder()
    decoder.feed(b"0\r\n" + part)

    with pytest.raises(ValueError, match="trailer"):
        decoder.feed(part * (MAX_TRAILER_BYTES // 4))
