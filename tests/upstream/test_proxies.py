"""A proxy whose URL has a password: no part of that is told, whatever is wrong with the URL."""

import asyncio

import pytest

from devsynthd.upstream.probe import Probe, ProxyUnusable, Target
from devsynthd.wire.errors import DevsynthError, ErrorCode
from tests.support.upstream_replies import status
from tests.support.upstream_server import UpstreamServer, free_port
from tests.upstream.asking import upstream_at

ELSEWHERE = "http://gpu.example/v1"
PASSWORD = "s3cr-et/pl4nted"  # noqa: S105 - of nobody
PARTS = ("s3cr", "pl4nted")

UNUSABLE = [
    f"http://me:{PASSWORD}@127.0.0.1:9",
    f"http://me:s3cr#{PASSWORD}@127.0.0.1:9",
    "http://me:s3cr@127.0.0.1:pl4nted",
    "http://me:s3cr@[::pl4nted:9",
    "me:s3cr-pl4nted@127.0.0.1:9",
    "//me:s3cr-pl4nted@",
]


def behind(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy)


def refusal() -> DevsynthError:
    """Return why there is no list."""

    async def run() -> None:
        async with upstream_at(ELSEWHERE) as upstream:
            await upstream.models()

    with pytest.raises(DevsynthError) as caught:
        asyncio.run(run())
    return caught.value


def told(error: BaseException | None) -> str:
    """Return what *error* and all that led to it say."""
    texts = []
    while error is not None:
        texts.append(f"{error} {error!r} {getattr(error, 'hint', '')}")
        error = error.__cause__ or error.__context__
    return " ".join(texts)


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_what_is_no_url_is_told_without_it(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behind(proxy, monkeypatch)
    error = refusal()

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert "through the proxy: its URL is not like http://HOST:PORT" in str(error)
    assert not any(part in told(error) for part in PARTS)


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_so_it_is_by_doctor(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    behind(proxy, monkeypatch)
    with pytest.raises(ProxyUnusable) as caught:
        Probe(Target(provider="openai", base_url=ELSEWHERE, connect_s=1))

    assert f"the proxy that is to lead to {ELSEWHERE} is not like" in str(caught.value)
    assert not any(part in str(caught.value) for part in PARTS)


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_no_name_could_be_is_not_known(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind(f"http://me:{PASSWORD.replace('/', '%2F')}@{host}:9", monkeypatch)
    error = refusal()

    assert error.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert not any(part in str(error) for part in PARTS)


def test_a_proxy_that_is_not_there_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind(f"http://me:s3cr-pl4nted@127.0.0.1:{free_port()}", monkeypatch)

    assert "through the proxy: connection refused" in str(refusal())
    assert not any(part in str(refusal()) for part in PARTS)


def test_a_proxy_that_repeats_the_password_is_quoted_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with UpstreamServer() as server:
        server.models_reply = status(500, {"error": "no: s3cr-pl4nted"})
        behind(f"http://me:s3cr-pl4nted@127.0.0.1:{server.port}", monkeypatch)

        assert str(refusal()) == f"{ELSEWHERE} answered with an error (status 500): no: ***"
        assert server.lists[0].headers["proxy-authorization"].startswith("Basic ")
