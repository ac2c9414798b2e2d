"""How an upstream can answer that wants its reader to choke: without an end, or far too much."""

import gzip
import json
import zlib
from collections.abc import Callable
from itertools import count

from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, piece, status

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"

PART_BYTES = 2**18
"""What is sent at a time."""

DEPTH = 100_000


def endless(begin: bytes, part: bytes) -> Reply:
    """Send *begin*, then *part* again and again for as long as the client reads."""

    async def reply(exchange: Exchange) -> None:
        await exchange.send(begin)
        many = part * max(1, PART_BYTES // len(part))
        while True:
            await exchange.send(many)

    return reply


def endless_parts(begin: bytes, part: Callable[[int], bytes]) -> Reply:
    """Send *begin*, then what *part* makes of 0, 1, 2, ..."""

    async def reply(exchange: Exchange) -> None:
        await exchange.send(begin)
        for number in count():
            await exchange.send(part(number))

    return reply


def bomb(of: bytes, *, times: int = 1, mib: int = 512) -> bytes:
    """Return so many *mib* of the bytes *of*, in gzip, so often inside each other; cut at the end.

    One mebibyte is compressed, and then there many times: that takes no time.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    begin = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(of * (2**20 // len(of))) + packer.flush(zlib.Z_FULL_FLUSH)
    data = begin + mib * mebibyte
    for _ in range(times - 1):
        data = gzip.compress(data)
    return data


def encoded(
    body: bytes, coding: str, *, code: int = 200, content_type: str = "text/event-stream"
) -> Reply:
    """Answer with *body*, which is said to be in *coding*."""

    async def reply(exchange: Exchange) -> None:
        await exchange.whole(code, content_type, body, [("Content-Encoding", coding)])

    return reply


def said(text: str) -> bytes:
    """Return the event that says *text*."""
    return b"data: %b\n\n" % json.dumps(piece(text)).encode()


def many_calls(number: int) -> bytes:
    """Return the event that begins another 50,000 tool calls."""
    parts = b",".join(b'{"index":%d}' % (number * 50_000 + each) for each in range(50_000))
    return b'data: {"choices":[{"delta":{"tool_calls":[%b]}}]}\n\n' % parts


def renamed_call(number: int) -> bytes:
    """Return the event that goes on with one tool call, naming it again with each character."""
    if number == 0:
        part = '{"index":0,"function":{"name":"f","arguments":"{\\"a\\":\\"%s"}}' % ("y" * 900_000)
    else:
        part = ",".join(['{"index":0,"function":{"name":"f","arguments":"y"}}'] * 15_000)
    return b'data: {"choices":[{"delta":{"tool_calls":[%b]}}]}\n\n' % part.encode()


def list_of(models: int) -> Reply:
    """List so many models."""
    body = b",".join(b'{"id":"%x"}' % number for number in range(models))
    return status(200, b'{"object":"list","data":[%b]}' % body)


def deep(before: bytes, after: bytes, depth: int = DEPTH) -> bytes:
    """Return JSON that is nested that deeply between *before* and *after*."""
    return before + b"[" * depth + b"]" * depth + after
