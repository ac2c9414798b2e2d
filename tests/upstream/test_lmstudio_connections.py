"""How LM Studio is reached: its address in every spelling, and connections that it closes."""

import contextlib
import socket
from collections.abc import Iterator

import msgspec
import pytest

from devsynthd.settings.base_url import upstream_base
from devsynthd.wire.errors import ErrorCode, UpstreamUnavailable
from tests.lmstudio import LMStudio, faults, paths
from tests.lmstudio.asking import QWEN
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, status, tokens
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import StillClock, asked, lmstudio, openai
from tests.upstream.asking import PATIENT

HASTY = msgspec.structs.replace(PATIENT, list_s=2)


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1") as studio:
        yield studio


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api/v0", "/api/v1", "/api/v1/"])
def test_the_address_may_be_written_in_many_ways(studio: LMStudio, path: str) -> None:
    """F2, R2: with the path of an API or without."""
    studio.load(QWEN)
    with lmstudio(upstream_base("lmstudio", studio.url + path)) as asker:
        assert asker.poll().api == "lmstudio-v1"
        asker.load(QWEN)
        assert asker.ask(QWEN).text == "Hello world"
        assert asker.upstream.address == studio.url

    assert [each.path for each in studio.requests()] == [
        paths.GREETING,
        paths.MODELS_V1,
        paths.LOAD,
        paths.CHAT,
    ]


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_so_may_the_general_one(studio: LMStudio, path: str) -> None:
    """F2: a base with ``/v1`` or without it gives the same list."""
    with openai(upstream_base("openai", studio.url + path)) as asker:
        assert QWEN in asker.models()
        assert asker.ask(QWEN).text == "Hello world"


@pytest.mark.parametrize("path", ["/lm", "/lm/", "/lm/v1", "/lm/api/v1"])
def test_a_prefix_stays(path: str) -> None:
    """F2: of a proxy that has LM Studio below one."""
    answers = {
        "/lm/lmstudio-greeting": status(200, {"lmstudio": True}),
        "/lm/api/v1/models": status(200, {"models": [{"key": "a", "loaded_instances": []}]}),
        "/lm/v1/chat/completions": tokens("hey"),
    }

    def answer(exchange: Exchange) -> Reply:
        error = {"error": f"Unexpected endpoint or method. ({exchange.path})"}
        return answers.get(exchange.path, status(200, error))

    with UpstreamServer(answer=answer) as server:
        base = server.url.removesuffix("/v1") + path
        with lmstudio(upstream_base("lmstudio", base)) as asker:
            assert asker.loaded() == {"a": False}
            assert asker.ask("a").text == "hey"


def test_a_base_that_is_wrong_is_told_as_that(studio: LMStudio) -> None:
    """F1, F2: a list at an unknown path is an error, not empty, and the hint names the setting."""
    with openai(f"{studio.url}/api") as asker:
        for error in (asker.no_list(), asker.no_answer(QWEN)):
            assert error.code is ErrorCode.UPSTREAM_ERROR
            assert error.hint is not None
            assert "llm_api_base" in error.hint


def test_localhost_is_dialled_where_lm_studio_listens(
    studio: LMStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F16: on IPv4 first, also where the name means IPv6 first and somebody else is there."""
    port = int(studio.url.rpartition(":")[2])
    found = [
        (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(found))
    url = studio.url.replace("127.0.0.1", "localhost")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # no IPv6 here: dialling it fails all the more
            stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6))
        asker = stack.enter_context(lmstudio(upstream_base("lmstudio", url), timeouts=HASTY))

        assert asker.poll().api == "lmstudio-v1"
        assert asker.upstream.address == url


def test_a_proxy_is_not_for_this_machine(studio: LMStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2: nor is anything else of the environment."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with lmstudio(studio.url) as asker:
        assert asker.poll().api == "lmstudio-v1"


@pytest.mark.parametrize(("idle_s", "connections"), [(3.9, 1), (4.0, 2)])
def test_a_connection_that_was_idle_is_not_used_again(
    studio: LMStudio, idle_s: float, connections: int
) -> None:
    """F17: LM Studio closes it after five seconds."""
    clock = StillClock()
    with lmstudio(studio.url, clock=clock) as asker:
        studio.load(QWEN)
        asker.poll()
        clock.now_s += idle_s
        asker.ask(QWEN)

    assert len({exchange.connection for exchange in studio.requests()}) == connections


def test_a_kept_connection_that_is_reset_costs_nothing(studio: LMStudio) -> None:
    """F17, R10: the request is sent once more, on a fresh connection."""
    with lmstudio(studio.url) as asker:
        studio.load(QWEN)
        asker.poll()
        studio.quirks.resets_reused_connections = True
        before = len(studio.requests())
        assert asker.poll().api == "lmstudio-v1"
        assert asker.ask(QWEN).text == "Hello world"

        questions = [f"GET {paths.MODELS_V1}"] * 2 + [f"POST {paths.CHAT}"] * 2
        assert asked(studio, since=before) == questions
        lost, again = studio.requests(path=paths.CHAT)
        assert lost.connection != again.connection
        assert lost.raw_body == again.raw_body


def test_an_answer_on_a_fresh_connection_is_not_asked_for_twice(studio: LMStudio) -> None:
    """F17, R10: LM Studio may have read the request."""
    studio.next_fault(faults.reset(), path=paths.CHAT)
    with lmstudio(studio.url) as asker:
        assert asker.no_answer(QWEN).code is ErrorCode.UPSTREAM_UNAVAILABLE

    assert len(studio.requests(path=paths.CHAT)) == 1


def test_nothing_is_asked_once_it_is_closed(studio: LMStudio) -> None:
    with lmstudio(studio.url) as asker:
        asker.poll()
        manager = asker.upstream.manager
        asker.close()
        before = len(studio.requests())
        assert asker.no_list().code is ErrorCode.UPSTREAM_UNAVAILABLE
        assert asker.no_answer(QWEN).code is ErrorCode.UPSTREAM_UNAVAILABLE
        assert manager is not None
        with pytest.raises(UpstreamUnavailable):
            asker.run(manager.load(QWEN, None))

        assert asked(studio, since=before) == []


def test_nobody_there_is_told_with_what_to_do(studio: LMStudio) -> None:
    """F30: a list, an answer and a load say the same."""
    studio.stop()
    with lmstudio(studio.url) as asker:
        for error in (asker.no_list(), asker.no_answer(QWEN)):
            assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
            assert str(error) == f"cannot reach {studio.url}: connection refused"
            assert error.hint is not None
            assert "lms server start" in error.hint
