"""10,000 random bodies, most of them damaged requests: each gets one answer, and nothing breaks."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tests.service.asking import RARELY_S, error, result
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_server import UpstreamServer

BODIES = 10_000
BATCH = 50  # sent before the answers to them are read
SEED = 20_240_517

# `shutdown` is not among them: damaged a little it may still be one.
REQUESTS: list[dict[str, Any]] = [
    {"op": "ping", "id": 1, "v": 1, "client": "fuzz/1"},
    {"op": "status", "id": "s", "timeout": 5, "sent": 1.7e9},
    {"op": "list", "id": 2, "refresh": False, "max_age": 60, "loaded": True, "kind": "llm"},
    {"op": "list", "id": 3, "since": 123456, "timeout": 0.01},
    {"op": "select", "id": 4, "model": "a", "persist": False, "force": False},
    {"op": "generate", "id": "g", "prompt": "hi", "stream": True, "model": "a", "timeout": 5},
    {
        "op": "generate",
        "id": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "system": "be brief",
        "max_tokens": 7,
        "temperature": 0.5,
    },
    {
        "op": "generate",
        "id": "t",
        "prompt": "hi",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "stream": True,
        "progress": True,
    },
    {
        "op": "generate",
        "id": "s",
        "prompt": "hi",
        "schema": {"type": "object", "properties": {"a": {"enum": [1, "b", None]}}},
        "background": True,
        "fallback": False,
    },
    {
        "op": "generate",
        "id": "p",
        "prompt": "hi",
        "stop": ["\n", "END"],
        "seed": 5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "repeat_penalty": 1.1,
        "presence_penalty": -1,
        "frequency_penalty": 1,
        "logit_bias": {"15339": -100},
        "ttl": 60,
        "extra": {"mirostat": 2, "nested": [{"a": [1.5, None]}]},
    },
    {"op": "generate", "id": "r", "prompt": "def f(", "raw": True, "max_tokens": 16},
    {"op": "generate", "id": "f", "prompt": "f(", "raw": True, "suffix": ")", "stop": "\n"},
    {"op": "embed", "id": "e", "input": "some text", "model": "a"},
    {"op": "embed", "id": "es", "input": ["some text", "and more"], "timeout": 5},
    {"op": "cancel", "id": 6, "target": "g"},
    {"op": "cancel", "id": 7, "request": 3},
    {"op": "config_get", "id": 8, "key": "llm_model"},
    {"op": "config_set", "id": 9, "key": "llm_max_tokens", "value": 7},
    {"op": "reload", "id": 10},
]

ODD_VALUES: list[Any] = [
    None,
    True,
    "",
    "x" * 200,
    "\0",
    -1,
    0,
    2**64 - 1,
    -(2**63),
    1e308,
    1.5,
    [],
    [[]],
    {},
    {"op": "ping"},
    {"role": "user"},
    b"\xff",
    float("nan"),
    {"a": b"\xff"},
    {"a": float("inf")},
    {"type": 5},
    {"$ref": "#"},
    {"$ref": "http://localhost/schema"},
    {"1": 1, "x": "y"},
    {"stream": False},
    [{"type": "function"}],
    ["x", ""],
    ["x"] * 100,
    msgspec.json.decode(b"[" * 200 + b"]" * 200),
    "auto",
]
FREE_FORM = ["logit_bias", "schema", "tools", "extra", "stop", "tool_choice"]


def bodies(dice: random.Random) -> Iterator[bytes]:
    """Yield random bodies without an end."""
    while True:
        kind = dice.random()
        if kind < 0.2:
            yield dice.randbytes(dice.randrange(200))
        elif kind < 0.3:
            yield b"{" + dice.randbytes(dice.randrange(100))
        elif kind < 0.4:
            yield encoded(dice, with_odd_content(dice))
        elif kind < 0.7:
            yield encoded(dice, with_other_fields(dice, dice.choice(REQUESTS)))
        else:
            yield with_other_bytes(dice, encoded(dice, dice.choice(REQUESTS)))


def encoded(dice: random.Random, fields: dict[str, Any]) -> bytes:
    if dice.random() < 0.5:
        return msgspec.json.encode(fields)
    return msgspec.msgpack.encode(fields)


def with_other_fields(dice: random.Random, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a request with a field too many, too few or wrong."""
    changed = dict(fields)
    name = dice.choice(list(fields))
    match dice.randrange(3):
        case 0:
            changed[name] = dice.choice(ODD_VALUES)
        case 1:
            changed[f"{name}{dice.randrange(3)}"] = dice.choice(ODD_VALUES)
        case _:
            del changed[name]
    return changed


def with_odd_content(dice: random.Random) -> dict[str, Any]:
    """Return a ``generate`` of which the fields that may be anything are something odd."""
    odd = {name: dice.choice(ODD_VALUES) for name in dice.sample(FREE_FORM, dice.randrange(1, 4))}
    return {"op": "generate", "id": dice.randrange(1000), "prompt": "hi"} | odd


def with_other_bytes(dice: random.Random, body: bytes) -> bytes:
    """Return *body* with some bytes changed, missing, doubled, or cut off."""
    damaged = bytearray(body)
    for _ in range(dice.randrange(1, 5)):
        start = dice.randrange(len(damaged) + 1)
        end = min(len(damaged), start + dice.randrange(1, 6))
        match dice.randrange(4):
            case 0:
                damaged[start:end] = dice.randbytes(end - start)
            case 1:
                del damaged[start:end]
            case 2:
                damaged[start:start] = damaged[start:end]
            case _:
                del damaged[end:]
    return bytes(damaged)


def final_answers(dealer: Dealer, count: int) -> Iterator[dict[str, Any]]:
    """Yield *count* replies that end a request, in either encoding."""
    while count:
        body = dealer.socket.recv()
        decode = msgspec.json.decode if body.startswith(b"{") else msgspec.msgpack.decode
        reply = decode(body)
        if reply["type"] in {"result", "error"}:
            count -= 1
            yield reply


def test_each_random_body_gets_one_answer(short_dir: Path, upstream: UpstreamServer) -> None:
    random_bodies = bodies(random.Random(SEED))  # noqa: S311 - repeatable, nothing is secret
    codes = set()
    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        for _ in range(0, BODIES, BATCH):
            for _ in range(BATCH):
                dealer.socket.send(next(random_bodies))
            for reply in final_answers(dealer, BATCH):
                codes.add("result" if reply["type"] == "result" else error(reply)["code"])

        assert result(dealer.ask(op="ping", id="still there"))
        report = result(dealer.ask(op="status", id="idle"))
    assert {"result", "bad_request", "unsupported_version"} <= codes
    assert "internal" not in codes
    assert report["requests"] == []
    assert report["totals"]["requests"] == BODIES + 2
