from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.zmtp import MAX_FRAME_BYTES, OPENING, Decoder, NotZmtp, framed

GREETING = b"\xff" + bytes(8) + b"\x7f\3\0NULL".ljust(55, b"\0")
READY = b"\4\x1c\5READY\x0bSocket-Type\0\0\0\6ROUTER"
SIZES = (0, 1, 255, 256, 70_000)

bodies = st.lists(st.binary(max_size=600), max_size=8)


def test_what_is_said_first_is_what_the_standard_says() -> None:
    assert GREETING + READY.replace(b"ROUTER", b"DEALER") == OPENING


@pytest.mark.parametrize("size", SIZES)
def test_a_body_of_any_size_is_framed_so_that_it_is_found_again(size: int) -> None:
    decoder = Decoder()

    assert decoder.feed(GREETING + READY + framed(b"x" * size)) == [b"x" * size]
    assert decoder.is_made


@given(bodies, st.data())
def test_pieces_may_end_anywhere(sent: list[bytes], data: st.DataObject) -> None:
    said = GREETING + READY + b"".join(map(framed, sent))
    ends = st.lists(st.integers(1, len(said) - 1), unique=True, max_size=12)
    cuts = [0, *sorted(data.draw(ends)), len(said)]
    decoder, found = Decoder(), list[bytes]()
    for start, end in pairwise(cuts):
        found += decoder.feed(said[start:end])

    assert found == sent
    assert decoder.is_made


def test_one_byte_at_a_time_will_do() -> None:
    decoder, found = Decoder(), list[bytes]()
    for byte in GREETING + READY + framed(b"a" * 300) + framed(b"b"):
        found += decoder.feed(bytes((byte,)))

    assert found == [b"a" * 300, b"b"]


def test_it_is_not_made_before_the_peer_is_ready() -> None:
    decoder = Decoder()
    decoder.feed(GREETING + READY[:-1])
    assert not decoder.is_made
    decoder.feed(READY[-1:])
    assert decoder.is_made


def test_each_part_of_a_message_is_a_body_and_commands_are_none() -> None:
    decoder = Decoder()

    said = framed(b"one", flags=1) + framed(b"\4PING\0\0", flags=4) + framed(b"two")
    assert decoder.feed(GREETING + READY + said) == [b"one", b"two"]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0",
        GREETING.replace(b"\3", b"\1"),
        GREETING.replace(b"\x7f", b"\0"),
        GREETING.replace(b"NULL", b"CURV"),
        GREETING + framed(b"a body before its time"),
        GREETING + framed(b"\5ERROR\4why?", flags=4),
        GREETING + READY + b"\x80\0",
        OPENING,  # of a DEALER
        GREETING + READY + b"\2" + b"\xff" * 8,
    ],
)
def test_anything_else_is_told_apart(said: bytes) -> None:
    with pytest.raises(NotZmtp):
        Decoder().feed(said)


def test_a_frame_that_is_said_to_be_large_takes_no_memory_before_it_comes() -> None:
    decoder = Decoder()

    assert decoder.feed(GREETING + READY + b"\2" + (MAX_FRAME_BYTES - 9).to_bytes(8)) == []
    assert decoder.feed(b"x" * 1000) == []
