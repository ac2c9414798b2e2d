"""The upstream's base URL: what is allowed, and what requests are built on. Pure."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from devsynthd.wire.objects import Provider

# Longest first: /api/v1 must not leave /api behind.
_LMSTUDIO_SUFFIXES = ("/api/v0", "/api/v1", "/v1")
_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::\d*)?")
_NEVER_IN_A_URL = re.compile(r"[\s\\<>\"]")


def url_problem(url: str) -> str | None:
    """Return what is wrong with *url* as a base, without quoting it, or null."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it is not a URL (is the port a number up to 65535, an IPv6 host in brackets?)"
    faults = (
        (_NEVER_IN_A_URL.search(url), "it has a character that no URL has"),
        (parts.scheme not in ("http", "https"), "it does not start with http:// or https://"),
        ("@" in parts.netloc, "user and password do not belong in it (a token: llm_api_key)"),
        (not host, "it has no host"),
        (not _brackets_hold(parts.netloc), "only an IPv6 address stands in brackets, and alone"),
        (host and not _is_host(host), "no host has such a name"),
        (port == 0, "nothing can listen on port 0"),
        ("?" in url or "#" in url, "a query or fragment does not belong in it"),
    )
    return next((fault for is_there, fault in faults if is_there), None)


def _is_host(host: str) -> bool:
    """Return whether *host* can be looked up: an address, or labels that DNS could have."""
    if ":" in host:  # an IPv6 address, which _brackets_hold has checked
        return True
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return not host.startswith("*")


def _brackets_hold(netloc: str) -> bool:
    """Return whether brackets, if there are any, hold an IPv6 address and nothing is behind it.

    Not every Python 3.11 has urlsplit see to that.
    """
    if "[" not in netloc and "]" not in netloc:
        return True
    bracketed = _BRACKETED.fullmatch(netloc)
    try:
        ipaddress.IPv6Address(bracketed[1] if bracketed else "")
    except ValueError:
        return False
    return True


def redact_url(url: str) -> str:
    """Return *url* with all that may be a password or a token left out; it need not be valid."""
    _, at, rest = url.rpartition("@")
    shown, *query = re.split(r"[?#]", rest, maxsplit=1)
    return f"{'…@' if at else ''}{shown}{'?…' if query else ''}"


def upstream_base(provider: Provider, api_base: str) -> str:
    """Return the URL that the paths of *provider*'s API are appended to; no slash at its end.

    LM Studio's is its root, since it serves several APIs: a prefix stays, the path of an API is
    cut off. Everybody else's ends before ``/chat/completions``; without any path it is ``/v1``.

    Args:
        provider: A value of ``llm_provider``.
        api_base: A valid value of ``llm_api_base``.
    """
    parts = urlsplit(api_base)
    path = parts.path.rstrip("/")
    if provider == "lmstudio":
        suffix = next((end for end in _LMSTUDIO_SUFFIXES if path.endswith(end)), "")
        return _with_path(parts, path.removesuffix(suffix).rstrip("/"))
    return _with_path(parts, path or "/v1")


def _with_path(parts: SplitResult, path: str) -> str:
    return f"{parts.scheme}://{parts.netloc}{path}"
