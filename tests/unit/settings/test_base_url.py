import pytest

from devsynthd.settings.base_url import redact_url, upstream_base, url_problem
from devsynthd.wire.objects import Provider

GOOD = [
    "http://localhost:1234/v1",
    "https://gateway.example/llm/v1/",
    "HTTP://LOCALHOST",
    "http://127.0.0.1:1",
    "http://[::1]:65535/v1",
    "http://host/~me/@team",
    "http://bücher.example",
]

BAD = [
    ("", "does not start with http"),
    ("localhost:1234", "does not start with http"),
    ("ftp://host/v1", "does not start with http"),
    ("file:///etc/passwd", "does not start with http"),
    ("http://", "no host"),
    ("http:///v1", "no host"),
    ("http://:1234/v1", "no host"),
    ("http:host", "no host"),
    ("http://host:0", "port 0"),
    ("http://*/", "no host has such a name"),
    ("http://.x/", "no host has such a name"),
    ("http://x..y/", "no host has such a name"),
    ("http://host:65536", "not a URL"),
    ("http://host:port", "not a URL"),
    ("http://[::1", "not a URL"),
    ("http://[::1]x/v1", "brackets"),
    ("http://[::1]:80]/v1", "not a URL"),
    ("http://[localhost]/v1", "brackets"),
    ("http://me:secret@host/v1", "user and password"),
    ("http://me@host/v1", "user and password"),
    ("http://host/v1?key=secret", "query"),
    ("http://host/v1?", "query"),
    ("http://host/v1#top", "fragment"),
    ("http://ho st/v1", "character"),
    ("http://host/a\\b", "character"),
]


@pytest.mark.parametrize("url", GOOD)
def test_a_url_with_a_host_is_taken(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(("url", "problem"), BAD)
def test_the_fault_of_a_url_is_told_without_its_secrets(url: str, problem: str) -> None:
    told = url_problem(url)

    assert told is not None
    assert problem in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host/v1", "http://host/v1"),
        ("http://me:secret@host/v1", "…@host/v1"),
        ("http://me:se@cr?et#@host/v1", "…@host/v1"),
        ("http://host/v1?key=secret", "http://host/v1?…"),
        ("http://host/v1#secret", "http://host/v1?…"),
        ("me:secret@host", "…@host"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    ("provider", "api_base", "base"),
    [
        ("lmstudio", "http://localhost:1234/v1", "http://localhost:1234"),
        ("lmstudio", "http://localhost:1234", "http://localhost:1234"),
        ("lmstudio", "http://localhost:1234///", "http://localhost:1234"),
        ("lmstudio", "http://localhost:1234/v1//", "http://localhost:1234"),
        ("lmstudio", "http://localhost:1234/api/v0", "http://localhost:1234"),
        ("lmstudio", "http://localhost:1234/api/v1/", "http://localhost:1234"),
        ("lmstudio", "https://h/studio/v1", "https://h/studio"),
        ("lmstudio", "https://h/studio/api/v1", "https://h/studio"),
        ("lmstudio", "https://h/v1/studio", "https://h/v1/studio"),
        ("lmstudio", "https://h/api", "https://h/api"),
        ("lmstudio", "https://h/my-v1", "https://h/my-v1"),
        ("lmstudio", "https://h/v10", "https://h/v10"),
        ("lmstudio", "http://[::1]:1234/v1", "http://[::1]:1234"),
        ("openai", "http://h:8080", "http://h:8080/v1"),
        ("openai", "http://h:8080/", "http://h:8080/v1"),
        ("openai", "http://h:8080/v1", "http://h:8080/v1"),
        ("openai", "http://h:8080/v1/", "http://h:8080/v1"),
        ("openai", "http://h/openai/deployments", "http://h/openai/deployments"),
        ("openai", "http://h/api/v1", "http://h/api/v1"),
        ("openai", "http://[fe80::1]", "http://[fe80::1]/v1"),
    ],
)
def test_the_base_of_a_provider(provider: Provider, api_base: str, base: str) -> None:
    assert upstream_base(provider, api_base) == base
