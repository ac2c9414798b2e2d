"""Whatever a client sends: it gets an error that says what is wrong, and the daemon serves on."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from devsynthd.wire.limits import MAX_FREE_FORM_DEPTH
from tests.service.asking import AnyDict, error, result, until_answered
from tests.support.daemon import Dealer, RunningDaemon
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer

LARGEST = 2**53 - 1
DEEP = 100_000

ENCODINGS = [
    pytest.param(msgspec.msgpack.encode, msgspec.msgpack.decode, id="msgpack"),
    pytest.param(msgspec.json.encode, msgspec.json.decode, id="json"),
]

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]


def assert_serves(dealer: Dealer) -> None:
    """Check that the daemon still answers on this connection."""
    assert dealer.ask(op="ping", id="still there")["id"] == "still there"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="plain text"),
        pytest.param(b"\xc1", id="a byte that MessagePack never uses"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        pytest.param(b"{", id="half of a JSON map"),
        pytest.param(b'{"op":"ping","id":1} and more', id="JSON and more"),
        pytest.param(b"{'op': 'ping', 'id': 1}", id="Python"),
        pytest.param(b'[{"op":"ping","id":1}]', id="a JSON list"),
        pytest.param(msgspec.msgpack.encode([1, 2]), id="a list"),
        pytest.param(msgspec.msgpack.encode("ping"), id="a string"),
        pytest.param(msgspec.msgpack.encode(None), id="null"),
        pytest.param(msgspec.msgpack.encode({1: "ping"}), id="a key that is no string"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="a list of billions"),
        pytest.param(b"\x82\xa2op\xa4ping\xa2id\xdf\xff\xff\xff\xff", id="a map of billions"),
        pytest.param(b'{"op":"ping","id":"\xff"}', id="JSON, bad UTF-8"),
        pytest.param(b"\x82\xa2op\xa4ping\xa2id\xa1\xff", id="bad UTF-8"),
        pytest.param(b'{"op":"ping","id":"\\ud800"}', id="half of a surrogate pair"),
        pytest.param(b'{"op":"ping","id":' + b"[" * DEEP + b"]" * DEEP + b"}", id="deep JSON"),
        pytest.param(b"\x82\xa2op\xa4ping\xa2id" + b"\x91" * DEEP + b"\xc0", id="deep MessagePack"),
        pytest.param(b"[" * DEEP, id="deep JSON without an end"),
        pytest.param(b"\x81\xa1x" * DEEP, id="deep maps without an end"),
    ],
)
def test_bad_bytes(dealer: Dealer, body: bytes) -> None:
    dealer.socket.send(body)

    decode: Decode = msgspec.json.decode if body.startswith(b"{") else msgspec.msgpack.decode
    reply = decode(dealer.socket.recv())
    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert not error(reply)["retryable"]
    assert_serves(dealer)


@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "no `op`"),
        ({"op": None}, "no `op`"),
        ({"op": 5}, "`op` is not a string"),
        ({"op": "pnig"}, "did you mean `ping`?"),
        ({"op": "xyzzy"}, "ops: ping,"),
        ({"op": "generate", "prompt": "x", "temprature": 1}, "did you mean `temperature`?"),
        ({"op": "generate", "prompt": "x", "zzz": 1}, "unknown field `zzz` in `generate`"),
        ({"op": "ping", "prompt": "x"}, "unknown field `prompt` in `ping`"),
        ({"op": "generate", "prompt": 7}, "`prompt` is 7; allowed: a text, or null"),
        (
            {"op": "generate", "prompt": "x", "stream": "yes"},
            "`stream` is a text; allowed: true or false",
        ),
        ({"op": "generate", "prompt": "x", "model": ""}, "`model` is too short; allowed: a text"),
        (
            {"op": "generate", "prompt": "x", "temperature": 2.1},
            "`temperature` is 2.1; allowed: a number",
        ),
        ({"op": "generate", "prompt": "x", "max_tokens": 0}, "`max_tokens` is 0"),
        ({"op": "generate", "prompt": "x", "max_tokens": -2}, "`max_tokens` is -2; allowed: an"),
        ({"op": "generate", "prompt": "x", "max_tokens": 1.5}, "`max_tokens` is 1.5; allowed: an"),
        ({"op": "generate", "prompt": "x", "wait": -1}, "`wait` is -1; allowed: a number"),
        (
            {"op": "generate", "prompt": "x", "timeout": 0},
            "`timeout` is 0; allowed: a number above 0",
        ),
        (
            {"op": "generate", "prompt": "x", "client": "x" * 65},
            "`client` is too long; allowed: a text",
        ),
        ({"op": "generate", "messages": [{"content": "x"}]}, "`messages[0].role` is missing"),
        (
            {"op": "generate", "messages": [{"role": "user", "kontent": "x"}]},
            "unknown field `kontent` in `messages[0]`",
        ),
        ({"op": "generate", "messages": ["x"] * 5000}, "`messages"),
        ({"op": "generate"}, "neither `prompt` nor `messages`"),
        ({"op": "generate", "prompt": ""}, "blank"),
        ({"op": "generate", "prompt": " \r\n\t\u00a0"}, "blank"),
        ({"op": "generate", "prompt": "x", "top_p": 1.1}, "`top_p` is 1.1; allowed: a number"),
        ({"op": "generate", "prompt": "x", "seed": 0.5}, "`seed` is 0.5; allowed: an integer"),
        ({"op": "generate", "prompt": "x", "stop": ["x", ""]}, "`stop[1]` is too short; allowed"),
        ({"op": "generate", "prompt": "x", "stop": ["x"] * 65}, "`stop` is too long; allowed"),
        ({"op": "generate", "prompt": "x", "ttl": 0}, "`ttl` is 0; allowed: an integer from 1"),
        ({"op": "generate", "prompt": "x", "raw": "yes"}, "`raw` is a text; allowed: true"),
        ({"op": "generate", "prompt": "x", "progress": 1}, "`progress` is 1; allowed: true or"),
        ({"op": "generate", "prompt": "x", "background": 1}, "`background` is 1; allowed: true"),
        ({"op": "generate", "prompt": "x", "suffix": "y"}, "`suffix` needs `raw`"),
        ({"op": "generate", "prompt": "x", "tool_choice": "all"}, "`tool_choice` is 'all'; allow"),
        ({"op": "generate", "prompt": "x", "tool_choice": "auto"}, "`tool_choice` needs `tools`"),
        ({"op": "generate", "prompt": "x", "tools": {}}, "`tools` is not a list"),
        ({"op": "generate", "prompt": "x", "tools": [{}]}, "`tools[0]` is not a tool"),
        ({"op": "generate", "prompt": "x", "schema": []}, "`schema` is not a map"),
        ({"op": "generate", "prompt": "x", "schema": {"type": 1}}, "`schema` is no JSON Schema"),
        ({"op": "generate", "prompt": "x", "logit_bias": 1}, "`logit_bias` is not a map"),
        ({"op": "generate", "prompt": "x", "logit_bias": {"1": "x"}}, "`logit_bias` of '1' is no"),
        ({"op": "generate", "prompt": "x", "extra": "x"}, "`extra` is not a map"),
        ({"op": "generate", "prompt": "x", "extra": {"stream": True}}, "has the key `stream`"),
        ({"op": "generate", "prompt": "x", "extra": {"x": "y" * 2**20}}, "the limit is 1048576"),
        ({"op": "embed"}, "`input` is missing; allowed: a text"),
        ({"op": "embed", "input": ""}, "`input` is too short; allowed: a text"),
        ({"op": "embed", "input": []}, "`input` is too short; allowed: a text"),
        ({"op": "embed", "input": ["x", 5]}, "`input[1]` is 5; allowed: a text"),
        ({"op": "embed", "input": ["x"] * 4097}, "`input` is too long; allowed: a text"),
        ({"op": "embed", "prompt": "x"}, "unknown field `prompt` in `embed`"),
        ({"op": "list", "kind": "chat"}, "`kind` is 'chat'; allowed: embedding or llm, or null"),
        ({"op": "list", "since": -1}, "`since` is -1; allowed: an integer"),
        ({"op": "select"}, "`model` is missing"),
        ({"op": "cancel"}, "either `target` or `request`"),
        ({"op": "cancel", "target": 1, "request": 1}, "either `target` or `request`"),
    ],
)
def test_bad_fields(
    dealer: Dealer, fields: AnyDict, says: str, encode: Encode, decode: Decode
) -> None:
    dealer.socket.send(encode({"id": "mine"} | fields))

    reply = decode(dealer.socket.recv())
    assert reply["id"] == "mine"
    problem = error(reply)
    assert problem["code"] == "bad_request"
    assert says in f"{problem['message']} ({problem['hint']})"
    assert_serves(dealer)


@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
@pytest.mark.parametrize(
    "bad_id", [None, "", "x" * 129, LARGEST + 1, -LARGEST - 1, 10**19, 1.5, True, [1], {}]
)
def test_bad_id_is_not_repeated(
    dealer: Dealer, bad_id: object, encode: Encode, decode: Decode
) -> None:
    dealer.socket.send(encode({"op": "ping", "id": bad_id}))

    reply = decode(dealer.socket.recv())
    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert_serves(dealer)


def test_request_without_an_id_is_refused(dealer: Dealer) -> None:
    reply = dealer.ask(op="ping")

    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"


@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
@pytest.mark.parametrize(
    ("sent", "repeated"),
    [
        ("x", "x"),
        ("x" * 128, "x" * 128),
        ("\U0001f642" * 128, "\U0001f642" * 128),
        (0, 0),
        (LARGEST, LARGEST),
        (-LARGEST, -LARGEST),
        (5.0, 5),
        ("5", "5"),
    ],
)
def test_good_id_is_repeated(
    dealer: Dealer, sent: object, repeated: object, encode: Encode, decode: Decode
) -> None:
    dealer.socket.send(encode({"op": "ping", "id": sent}))

    reply = decode(dealer.socket.recv())
    assert reply["type"] == "result"
    assert reply["id"] == repeated
    assert type(reply["id"]) is type(repeated)


@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
def test_integral_floats_are_integers(
    dealer: Dealer, upstream: UpstreamServer, encode: Encode, decode: Decode
) -> None:
    dealer.socket.send(encode({"op": "generate", "id": 1, "v": 1.0, "prompt": "x"}))
    assert decode(dealer.socket.recv())["type"] == "result"
    dealer.socket.send(encode({"op": "generate", "id": 1.0, "prompt": "x", "max_tokens": 16.0}))
    assert decode(dealer.socket.recv())["type"] == "result"
    fields = {"seed": 5.0, "top_k": 6.0, "ttl": 7.0}
    dealer.socket.send(encode({"op": "generate", "id": 3, "prompt": "x"} | fields))
    assert decode(dealer.socket.recv())["type"] == "result"
    dealer.socket.send(encode({"op": "list", "id": 2, "since": 0.0}))
    assert decode(dealer.socket.recv())["type"] == "result"

    assert b'"max_tokens":16' in upstream.wait_generation(2).raw_body
    body = upstream.wait_generation(3).raw_body
    assert all(number in body for number in (b'"seed":5', b'"top_k":6', b'"ttl":7'))
    assert b".0" not in body


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "ping", "id": 1, "v": 2},
        {"op": "teleport", "id": 1, "v": 2, "where": "home"},
        {"op": "generate", "id": 1, "v": 0},
    ],
)
def test_other_version_is_told_before_anything_else(dealer: Dealer, fields: AnyDict) -> None:
    reply = dealer.ask(**fields)

    assert reply["id"] == 1
    assert error(reply)["code"] == "unsupported_version"
    assert_serves(dealer)


def test_duplicate_id_leaves_the_running_one_alone(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    dealer.send(op="generate", id="twice", prompt="first")
    upstream.wait_generation()

    reply = dealer.ask(op="generate", id="twice", prompt="second")

    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert error(reply)["details"]["id"] == "twice"
    assert len(upstream.generations) == 1
    dealer.send(op="cancel", id="end", target="twice")
    last, outcome = until_answered(dealer, "twice", "end")
    assert error(last)["code"] == "cancelled"
    assert result(outcome) == {"cancelled": True}
    assert result(dealer.ask(op="generate", id="twice", prompt="again"))["text"] == "Hello world"


@pytest.mark.parametrize("fields", [{"op": "pong"}, {"op": "generate", "prompt": 7}])
def test_a_bad_request_with_the_id_of_a_running_one_leaves_that_alone(
    dealer: Dealer, upstream: UpstreamServer, fields: AnyDict
) -> None:
    upstream.script.append(silence())
    dealer.send(op="generate", id="twice", prompt="first")
    upstream.wait_generation()

    reply = dealer.ask(id="twice", **fields)

    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert error(reply)["details"]["id"] == "twice"
    dealer.send(op="cancel", id="end", target="twice")
    last, outcome = until_answered(dealer, "twice", "end")
    assert error(last)["code"] == "cancelled"
    assert result(outcome) == {"cancelled": True}


def test_same_id_of_two_clients_is_no_duplicate(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    first, second = daemon.dealer(), daemon.dealer()
    first.send(op="generate", id=1, prompt="x")
    upstream.wait_generation()

    assert result(second.ask(op="generate", id=1, prompt="x"))["text"] == "Hello world"


@pytest.mark.parametrize("depth", [MAX_FREE_FORM_DEPTH + 1, 500, 900])
@pytest.mark.parametrize("field", ["extra", "schema"])
@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
def test_deep_fields_are_refused(
    dealer: Dealer, field: str, depth: int, encode: Encode, decode: Decode
) -> None:
    content: AnyDict = {}
    for _ in range(depth - 1):
        content = {"not": content}
    dealer.socket.send(encode({"op": "generate", "id": 1, "prompt": "x", field: content}))

    reply = decode(dealer.socket.recv())
    assert reply["id"] == 1
    assert error(reply)["message"] == f"`{field}` is nested too deeply"
    assert_serves(dealer)


@pytest.mark.parametrize("encode", [msgspec.msgpack.encode, msgspec.json.encode])
def test_the_deepest_fields_that_are_allowed_arrive_upstream(
    dealer: Dealer, upstream: UpstreamServer, encode: Encode
) -> None:
    content: AnyDict = {}
    for _ in range(MAX_FREE_FORM_DEPTH - 1):
        content = {"not": content}
    fields = {"extra": content, "schema": content}

    dealer.socket.send(encode({"op": "generate", "id": 1, "prompt": "x"} | fields))

    body = upstream.wait_generation().body
    assert body["not"] == content["not"]
    assert body["response_format"]["json_schema"]["schema"] == content
    dealer.socket.recv()  # whether the answer satisfies that schema does not matter here
    assert_serves(dealer)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="NaN"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param(msgspec.msgpack.Ext(5, b"x"), id="extension type"),
        pytest.param({b"bytes": 1}, id="bytes as a key"),
        pytest.param(msgspec.Raw(b"\xa1\xff"), id="bad UTF-8"),
        pytest.param(msgspec.Raw(b"\x81\x80\x01"), id="a map as a key"),
    ],
)
@pytest.mark.parametrize("field", ["extra", "schema", "logit_bias"])
def test_what_is_not_json_is_not_sent_upstream(
    dealer: Dealer, upstream: UpstreamServer, field: str, value: object
) -> None:
    reply = dealer.ask(op="generate", id=1, prompt="x", **{field: {"a": value}})

    assert reply["id"] == 1
    assert error(reply)["code"] == "bad_request"
    assert f"`{field}` cannot be" in error(reply)["message"]
    assert not upstream.generations
    assert_serves(dealer)


def test_33_mib_are_refused_politely(dealer: Dealer) -> None:
    reply = dealer.ask(op="generate", id=1, prompt="x" * 33 * 2**20)

    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert str(32 * 2**20) in error(reply)["message"]
    assert_serves(dealer)


def test_31_mib_arrive_upstream(dealer: Dealer, upstream: UpstreamServer) -> None:
    prompt = "x" * 31 * 2**20

    assert result(dealer.ask(op="generate", id=1, prompt=prompt))["text"] == "Hello world"
    assert upstream.wait_generation().body["messages"][-1]["content"] == prompt


def test_millions_of_messages_do_not_block_the_daemon(dealer: Dealer) -> None:
    began = time.monotonic()
    reply = dealer.ask(op="generate", id=1, prompt="x", messages=[{}] * 2**22)

    assert error(reply)["code"] == "bad_request"
    assert time.monotonic() - began < 2
    assert_serves(dealer)


@pytest.mark.parametrize(("encode", "decode"), ENCODINGS)
def test_millions_of_texts_do_not_block_the_daemon(
    dealer: Dealer, encode: Encode, decode: Decode
) -> None:
    body = encode({"op": "embed", "id": 1, "input": ["x"] * 2**22})
    began = time.monotonic()
    dealer.socket.send(body)

    assert error(decode(dealer.socket.recv()))["code"] == "bad_request"
    assert time.monotonic() - began < 2
    assert_serves(dealer)
