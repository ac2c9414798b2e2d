"""What the pipe sees of a reply."""

import json

import pytest

from devsynthctl.errors import BadReply
from devsynthctl.pipe.told import Told, error_line, read_reply
from devsynthd.wire.errors import BadRequest, Forbidden


def told(text: str) -> Told:
    return read_reply(text.encode())


def error(code: str, request_id: str = "1") -> str:
    fault = f'{{"code":"{code}","message":"m","hint":null,"retryable":false,"details":{{}}}}'
    return f'{{"type":"error","id":{request_id},"error":{fault}}}'


@pytest.mark.parametrize(
    ("text", "is_last", "is_part", "is_refusal"),
    [
        ('{"type":"result","id":1,"result":{"id":2,"error":3}}', True, False, False),
        ('{"type":"chunk","id":"a","seq":0,"text":"x"}', False, True, False),
        ('{"type":"event","id":1,"topic":"log","data":{}}', False, True, False),
        ('{"type":"progress","id":1,"state":"queued"}', False, False, False),
        ('{"type":"of_later","id":1}', False, False, False),
        (error("cancelled"), True, False, False),
        (error("shutting_down"), True, False, True),
    ],
)
def test_a_reply_tells_how_its_request_stands(
    text: str,
    *,
    is_last: bool,
    is_part: bool,
    is_refusal: bool,
) -> None:
    reply = told(text)

    assert reply.is_last is is_last
    assert reply.is_part is is_part
    assert reply.is_refusal is is_refusal


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"type":"result"}', "\x81\xa4"])
def test_what_is_not_in_the_protocol_is_a_bad_reply(text: str) -> None:
    with pytest.raises(BadReply, match="not in the protocol"):
        told(text)


def test_an_error_that_names_nobody_is_a_bad_reply() -> None:
    with pytest.raises(BadReply, match="did not say which one: m"):
        told(error("bad_request", "null"))


def test_a_daemon_that_talks_to_others_only_says_so() -> None:
    with pytest.raises(Forbidden, match="m"):
        told(error("forbidden", "null"))


def test_an_error_may_name_a_file_whose_name_is_no_text() -> None:
    line = error_line(1, BadRequest("no \udcff"))

    assert json.loads(line)["error"]["message"] == "no \udcff"


def test_an_error_of_the_pipe_is_a_reply() -> None:
    line = error_line(None, BadRequest("no", hint="do", details={"line": 3}))

    assert line == (
        b'{"type":"error","id":null,"error":{"code":"bad_request","message":"no","hint":"do",'
        b'"retryable":false,"details":{"line":3}}}'
    )
