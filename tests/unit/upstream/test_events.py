import pytest

from devsynthd.upstream.events import Event, EventParser, LineTooLong

TABLE: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (b"data: one\n\ndata: two\n\n", [(b"", b"one"), (b"", b"two")]),
    (b"data: one\r\n\r\ndata: two\r\n\r\n", [(b"", b"one"), (b"", b"two")]),
    (b"data: one\r\rdata: two\r\r", [(b"", b"one"), (b"", b"two")]),
    (b"data: one\r\n\ndata: two\n\r\n", [(b"", b"one"), (b"", b"two")]),
    (b"data:tight\n\ndata:  wide\n\n", [(b"", b"tight"), (b"", b" wide")]),
    (b"data: a\ndata: b\ndata\n\n", [(b"", b"a\nb\n")]),
    (b": a comment\n\n: another\ndata: x\n\n", [(b"", b"x")]),
    (b"event: error\ndata: x\n\ndata: y\n\n", [(b"error", b"x"), (b"", b"y")]),
    (b"event: lonely\n\ndata: y\n\n", [(b"", b"y")]),
    (b"id: 1\nretry: 5\nunknown: z\ndata: x\n\n", [(b"", b"x")]),
    (b"\xef\xbb\xbfdata: x\n\n", [(b"", b"x")]),
    (b'error: {"message":"old"}\n\n', [(b"error", b'{"message":"old"}')]),
    ("data: h\u00e9 \u2028 \U0001f600\n\n".encode(), [(b"", "h\u00e9 \u2028 \U0001f600".encode())]),
    (b"data: never ended\n", []),
    (b"", []),
]


@pytest.mark.parametrize(("stream", "expected"), TABLE)
def test_a_stream_gives_the_same_events_wherever_it_is_cut(
    stream: bytes, expected: list[tuple[bytes, bytes]]
) -> None:
    events = [Event(*pair) for pair in expected]
    for cut in range(len(stream) + 1):
        parser = EventParser()
        assert [*parser.feed(stream[:cut]), *parser.feed(stream[cut:])] == events, cut
    parser = EventParser()
    assert [event for byte in stream for event in parser.feed(bytes([byte]))] == events


def test_a_mark_of_byte_order_counts_at_the_start_only() -> None:
    parser = EventParser()
    assert list(parser.feed(b"data: x\n\n")) == [Event(b"", b"x")]

    assert list(parser.feed(b"\xef\xbb\xbfdata: y\n\n")) == []


@pytest.mark.parametrize("stream", [b"data: 12345", b"data: 12345\n\n", b"data: 12345\n: x\n"])
def test_a_line_over_the_limit_is_refused_as_soon_as_it_is_known(stream: bytes) -> None:
    with pytest.raises(LineTooLong):
        list(EventParser(max_line_bytes=10).feed(stream))
    parser = EventParser(max_line_bytes=10)
    assert list(parser.feed(stream[:10])) == []
    with pytest.raises(LineTooLong):
        list(parser.feed(stream[10:]))


def test_a_line_of_exactly_the_limit_passes() -> None:
    parser = EventParser(max_line_bytes=10)

    assert list(parser.feed(b"data: 1234\n\n")) == [Event(b"", b"1234")]


@pytest.mark.parametrize("line", [b"data\n", b"data: 12\n"])
def test_an_event_of_many_lines_has_a_greatest_size_too(line: bytes) -> None:
    parser = EventParser(max_event_bytes=100)

    with pytest.raises(LineTooLong, match="an event of more than 100 bytes"):
        list(parser.feed(line * 30))


def test_what_is_no_data_does_not_count_and_each_event_is_counted_anew() -> None:
    parser = EventParser(max_event_bytes=10)
    stream = (b": a comment\nid: 1234567\n" * 5 + b"data: 1234\n\n") * 5

    assert list(parser.feed(stream)) == [Event(b"", b"1234")] * 5
