"""Where a server may send its reader: nowhere but within its own origin. The key stays home."""

import asyncio

import pytest

from devsynthd.wire.errors import DevsynthError, UpstreamError
from tests.support.upstream_replies import html, in_turn, redirect, status
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, ask, unnoticed, upstream_at

KEY = "the-key"
MODELS = status(200, {"object": "list", "data": [{"id": "a"}]})


def _listed(url: str) -> list[str]:
    async def run() -> list[str]:
        async with upstream_at(url, api_key=KEY) as upstream:
            return [model.id for model in (await upstream.models()).models]

    return asyncio.run(run())


def _refused(url: str) -> DevsynthError:
    with pytest.raises(DevsynthError) as caught:
        _listed(url)
    return caught.value


# {there}: host and port of a stranger, {home}: those of the server that sends its reader away.
ELSEWHERE = [
    "http://{there}/v1/models",
    "//{there}/v1/models",
    "https://{home}/v1/models",
    "http://{home}@{there}/",
    "http://{there}#@{home}/",
    "http://{there}?@{home}/",
    # What is the host of these, parsers disagree about.
    r"http://{there}\@{home}/",
    r"//{there}\@{home}/",
    r"http://{there}\\@{home}/",
    r"http:\\{there}\@{home}/",
]


@pytest.mark.parametrize(
    ("location", "code"),
    [(each, 302) for each in ELSEWHERE] + [(ELSEWHERE[0], each) for each in (301, 303, 307, 308)],
)
def test_a_list_is_not_looked_for_elsewhere(
    server: UpstreamServer, location: str, code: int
) -> None:
    with UpstreamServer() as other:
        homes = {"home": f"127.0.0.1:{server.port}", "there": f"127.0.0.1:{other.port}"}
        server.models_reply = in_turn(redirect(location.format(**homes), code), html())

        error = _refused(server.url)

        assert other.lists == []
    assert isinstance(error, UpstreamError)
    assert "redirect" in str(error) or "HTML" in str(error)
    assert KEY not in f"{error} {error.hint} {error.details}"


@pytest.mark.parametrize(
    "location",
    [
        "http://[",
        "http://[::1",
        "http://127.0.0.1:99999999/",
        "http://127.0.0.1:port/",
        "http://:0/",
        "//",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "data:application/json,{}",
        "http://xn--\u00ff/",
    ],
)
def test_where_no_list_can_be_is_told_as_that(server: UpstreamServer, location: str) -> None:
    server.models_reply = in_turn(redirect(location), html())

    error = _refused(server.url)

    assert isinstance(error, UpstreamError)
    assert "redirect" in str(error) or "HTML" in str(error)


def test_who_is_sent_home_with_another_name_takes_the_key_along(server: UpstreamServer) -> None:
    """It is the same server, whatever it would like its reader to call itself."""
    location = f"http://user:password@127.0.0.1:{server.port}/x"
    server.models_reply = in_turn(redirect(location), MODELS)

    assert _listed(server.url) == ["a"]
    assert server.lists[1].path == "/x"
    assert server.lists[1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("location", ["http://{there}/v1/chat/completions", "{home}"])
@pytest.mark.parametrize(
    ("question", "code"),
    [("chat", 301), ("chat", 302), ("chat", 307), ("chat", 308), ("embed", 307), ("embed", 308)],
)
def test_what_is_asked_once_is_asked_nowhere_else(
    server: UpstreamServer, location: str, code: int, question: str
) -> None:
    with UpstreamServer() as other:
        target = location.format(there=f"127.0.0.1:{other.port}", home="/v1/chat/completions")
        server.script.append(redirect(target, code))

        async def run() -> None:
            async with upstream_at(server.url, api_key=KEY) as upstream:
                if question == "chat":
                    await ask(upstream, CHAT)
                else:
                    await upstream.embed("m", ("a",), unnoticed)

        with pytest.raises(UpstreamError, match="a redirect, which is not followed"):
            asyncio.run(run())
        assert other.generations == other.lists == []
    assert len(server.generations) == 1
