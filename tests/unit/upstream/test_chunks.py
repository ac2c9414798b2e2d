import pytest

from devsynthd.upstream.chunks import MAX_SIZE_LINE_BYTES, ChunkDecoder

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
