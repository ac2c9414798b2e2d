import asyncio
import contextlib
import socket
import sys
import time
from pathlib import Path

import msgspec
import pytest

from devsynthd.upstream.connections import is_loopback
from devsynthd.upstream.http import Http
from devsynthd.upstream.line import Line
from devsynthd.wire.errors import DevsynthError, ErrorCode
from tests.support.needs import missing
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import (
    Reply,
    html,
    in_turn,
    piece,
    raw,
    redirect,
    reset_after,
    silence,
    silence_after,
    status,
    tokens,
)
from tests.support.upstream_server import UpstreamServer, deaf_port, free_port
from tests.upstream.asking import (
    CHAT,
    PATIENT,
    SOON_S,
    ask,
    cancelled,
    relay,
    unnoticed,
    upstream_at,
)
from tests.upstream.certificates import self_signed

MODELS = status(200, {"object": "list", "data": [{"id": "a"}]})


def _listed(url: str, *, api_key: str = "") -> list[str]:
    async def run() -> list[str]:
        async with upstream_at(url, api_key=api_key) as upstream:
            return [model.id for model in (await upstream.models()).models]

    return asyncio.run(run())


def _failed(url: str, *, ca_bundle: str = "", connect_s: float = 10) -> DevsynthError:
    async def run() -> None:
        timeouts = msgspec.structs.replace(PATIENT, connect_s=connect_s)
        async with upstream_at(url, ca_bundle=ca_bundle, timeouts=timeouts) as upstream:
            await ask(upstream)

    with pytest.raises(DevsynthError) as caught:
        asyncio.run(run())
    return caught.value


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(("idle_s", "connection"), [(0.0, 1), (3.9, 1), (4.0, 2), (100.0, 2)])
def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: UpstreamServer, idle_s: float, connection: int
) -> None:
    clock = Clock()

    async def run() -> None:
        async with upstream_at(server.url, clock=clock) as upstream:
            await ask(upstream)
            clock.now_s += idle_s
            await ask(upstream)

    asyncio.run(run())
    assert [exchange.connection for exchange in server.generations] == [1, connection]


def test_only_idle_time_counts(server: UpstreamServer) -> None:
    clock = Clock()

    async def run() -> None:
        async with upstream_at(server.url, clock=clock) as upstream:
            for _ in range(5):
                await ask(upstream)
                clock.now_s += 3

    asyncio.run(run())
    assert {exchange.connection for exchange in server.generations} == {1}


def test_the_end_of_a_body_may_come_a_little_after_its_last_event(server: UpstreamServer) -> None:
    async def late_end(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(piece("x", finish_reason="stop"))
        await exchange.event("[DONE]")
        await asyncio.sleep(0.002)  # the pace of this server, nothing waits for it
        await exchange.end()

    server.script.extend([late_end] * 5)

    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            for _ in range(5):
                await ask(upstream)

    asyncio.run(run())
    assert {exchange.connection for exchange in server.generations} == {1}


def test_lists_and_chats_share_connections_also_after_an_error(server: UpstreamServer) -> None:
    server.script.extend([status(500, {"error": "boom"}), html()])

    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            await upstream.models()
            for _ in range(2):
                with pytest.raises(DevsynthError):
                    await ask(upstream)
            await ask(upstream)

    asyncio.run(run())
    assert {exchange.connection for exchange in server.generations + server.lists} == {1}


def test_who_has_read_all_leaves_the_connection_to_others(server: UpstreamServer) -> None:
    http = Http(server.url, api_key="", connect_s=10, ca_bundle="", max_connections=1)
    with contextlib.closing(http), http.get("/models", first := Line(), timeout_s=10) as reply:
        wire = first.wire
        assert wire is not None
        while reply.read(10) and first.hold:
            pass
        kept = http.kept("/models", b"", Line())
        assert kept is not None
        timeout_s = wire.gettimeout()
        assert reply.read(7) == b""
        assert wire.gettimeout() == timeout_s
        kept.close()


@pytest.mark.parametrize("reply", [silence(), silence_after("a")])
def test_a_connection_that_was_hung_up_is_not_used_again(
    server: UpstreamServer, reply: Reply
) -> None:
    server.script.append(reply)

    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            await cancelled(task)
            await ask(upstream)

    asyncio.run(run())
    assert [exchange.connection for exchange in server.generations] == [1, 2]


def test_a_connection_that_the_server_closed_is_not_used_again(server: UpstreamServer) -> None:
    body = b'{"object":"list","data":[]}'
    server.models_reply = raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            await upstream.models()
            await asyncio.to_thread(server.lists[0].closed.wait)
            await ask(upstream)

    asyncio.run(run())


def test_closing_closes_what_was_kept_whoever_still_knows_of_it(server: UpstreamServer) -> None:
    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            await asyncio.gather(*[ask(upstream) for _ in range(3)], upstream.models())
            await upstream.close()
            await asyncio.to_thread(server.wait_unconnected)  # it may be known for long after

    asyncio.run(run())


def test_a_list_is_asked_for_once_more_after_a_reset(server: UpstreamServer) -> None:
    server.models_reply = in_turn(reset_after(), MODELS)

    assert _listed(server.url) == ["a"]
    assert len(server.lists) == 2


def test_a_list_may_end_its_connection(server: UpstreamServer) -> None:
    async def listed_and_closed(exchange: Exchange) -> None:
        body = b'{"object": "list", "data": [{"id": "a"}]}'
        await exchange.whole(200, "application/json", body, [("Connection", "close")])

    server.models_reply = listed_and_closed

    assert _listed(server.url) == ["a"]


def test_a_list_is_not_asked_for_a_third_time(server: UpstreamServer) -> None:
    server.models_reply = reset_after()

    with pytest.raises(DevsynthError) as caught:
        _listed(server.url)
    assert caught.value.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert len(server.lists) == 2


@pytest.mark.parametrize("reply", [silence(), silence_after()])
def test_a_list_has_a_time_of_its_own(server: UpstreamServer, reply: Reply) -> None:
    server.models_reply = reply

    async def run() -> None:
        timeouts = msgspec.structs.replace(PATIENT, list_s=0.15)
        async with upstream_at(server.url, timeouts=timeouts) as upstream:
            await upstream.models()

    with pytest.raises(DevsynthError) as caught:
        asyncio.run(run())
    assert caught.value.code is ErrorCode.UPSTREAM_TIMEOUT
    assert server.lists[0].ended.wait(5)
    assert server.lists[0].disconnected_at is not None


def test_a_list_has_a_greatest_size(server: UpstreamServer) -> None:
    server.models_reply = status(200, b" " * (17 * 2**20))

    with pytest.raises(DevsynthError) as caught:
        _listed(server.url)
    assert "16 MiB" in str(caught.value)


def test_a_redirect_within_the_origin_is_followed(server: UpstreamServer) -> None:
    server.models_reply = in_turn(redirect("/elsewhere"), redirect(f"{server.url}/x"), MODELS)

    assert _listed(server.url, api_key="key") == ["a"]
    assert [exchange.path for exchange in server.lists] == ["/v1/models", "/elsewhere", "/v1/x"]
    assert server.lists[2].headers["authorization"] == "Bearer key"


def test_a_key_goes_to_no_other_origin(server: UpstreamServer) -> None:
    with UpstreamServer() as other:
        server.models_reply = redirect(f"{other.url}/models")
        with pytest.raises(DevsynthError, match="a redirect"):
            _listed(server.url, api_key="key")
        assert other.lists == []


def test_redirects_have_an_end(server: UpstreamServer) -> None:
    server.models_reply = redirect("/v1/models")

    with pytest.raises(DevsynthError, match="a redirect"):
        _listed(server.url)
    assert len(server.lists) == 4


def test_a_chat_is_not_redirected(server: UpstreamServer) -> None:
    server.script.append(redirect("/v1/chat/completions"))

    assert "a redirect" in str(_failed(server.url))
    assert len(server.generations) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_neither_proxies_nor_netrc_apply_to_this_machine(
    server: UpstreamServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {host} login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    assert _listed(server.url.replace("127.0.0.1", host)) == ["m"]
    assert "authorization" not in server.lists[0].headers


def test_a_proxy_applies_elsewhere_and_can_be_hung_up_on(
    server: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.script.append(silence())

    async def run() -> float:
        async with upstream_at("http://models.example/v1") as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            exchange = await asyncio.to_thread(server.wait_generation)
            assert exchange.path == "http://models.example/v1/chat/completions"
            return await cancelled(task)

    assert asyncio.run(run()) < SOON_S
    server.wait_disconnected()


def test_answers_come_through_a_proxy_by_one_connection(
    server: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def run() -> list[str]:
        async with upstream_at("http://models.example/v1") as upstream:
            return [(await ask(upstream)).text for _ in range(2)]

    assert asyncio.run(run()) == ["Hello world"] * 2
    assert {exchange.connection for exchange in server.generations} == {1}
    assert {exchange.path for exchange in server.generations} == {
        "http://models.example/v1/chat/completions"
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "a.localhost"])
def test_what_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["192.168.0.1", "models.example", "localhost.example", ""])
def test_what_is_another_machine(host: str) -> None:
    assert not is_loopback(host)


def test_localhost_is_ipv4_first(server: UpstreamServer) -> None:
    with contextlib.ExitStack() as stack:
        try:
            other = stack.enter_context(
                socket.create_server(("::1", server.port), family=socket.AF_INET6)
            )
        except OSError:
            missing("IPv6 on loopback", "sysctl net.ipv6.conf.lo.disable_ipv6=0")
        assert _listed(server.url.replace("127.0.0.1", "localhost")) == ["m"]
        other.setblocking(False)  # noqa: FBT003 - the standard library's signature
        with pytest.raises(BlockingIOError):
            other.accept()


def test_nobody_there_is_told_with_the_address_and_what_to_check() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    error = _failed(url)

    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)
    assert str(error) == f"cannot reach {url}: connection refused"
    assert error.hint is not None
    assert "server started" in error.hint


only_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems queue differently")


@only_linux
def test_a_server_that_does_not_accept_is_unavailable() -> None:
    with deaf_port() as port:
        error = _failed(f"http://127.0.0.1:{port}/v1", connect_s=0.1)

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert error.hint is not None
    assert "llm_connect_timeout" in error.hint


@only_linux
def test_connecting_is_cut_short_too() -> None:
    async def run(port: int) -> float:
        async with upstream_at(f"http://127.0.0.1:{port}/v1") as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.wait({task}, timeout=0.1)
            return await cancelled(task)

    with deaf_port() as port:
        assert asyncio.run(run(port)) < SOON_S


def test_tls_with_a_bundle_of_its_own(tmp_path: Path) -> None:
    context, bundle = self_signed(tmp_path)
    with UpstreamServer(tls=context) as server:
        server.script.extend([tokens("secret"), silence(), silence_after("a")])

        async def run() -> list[float]:
            async with upstream_at(server.url, ca_bundle=str(bundle)) as upstream:
                assert (await ask(upstream)).text == "secret"
                delays: list[float] = []
                for number in (2, 3):
                    task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
                    await asyncio.to_thread(server.wait_generation, number)
                    started = time.monotonic()
                    await cancelled(task)
                    delays += [
                        time.monotonic() - started,
                        server.wait_disconnected(number) - started,
                    ]
                return delays

        assert max(asyncio.run(run())) < SOON_S


def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    with UpstreamServer(tls=context) as server:
        error = _failed(server.url)

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert "certificate" in str(error)
    assert error.hint is not None
    assert "llm_ca_bundle" in error.hint


def test_https_to_a_server_without_tls(server: UpstreamServer) -> None:
    error = _failed(server.url.replace("http:", "https:"), connect_s=0.15)

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert "did not accept the connection" in str(error)


def test_a_missing_bundle_is_named(server: UpstreamServer, tmp_path: Path) -> None:
    bundle = str(tmp_path / "none.pem")
    error = _failed(server.url.replace("http:", "https:"), ca_bundle=bundle)

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert "none.pem" in str(error)
