"""The links from here to LM Studio, judged: name, connection, HTTP. Pure."""

import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from msgspec import Struct

from devsynthctl.doctor.trouble import Trouble, Verdict, ok
from devsynthd.upstream.probe import Dialled, Nature
from devsynthd.wire.errors import DevsynthError

UNUSABLE_BASE = Trouble(
    check="dns",
    says="{reason}",
    example="llm_api_base is not a usable URL, or llm_api_key cannot be sent",
    means="No request can be made of `llm_api_base` or `llm_api_key` as they are.",
    remedy="devsynthctl config set llm_api_base URL, or llm_api_key",
)
UNUSABLE_PROXY = Trouble(
    check="dns",
    says="{reason}",
    example="the URL of the proxy that is to lead to ADDRESS is not like http://HOST:PORT",
    means="`HTTP_PROXY` or `HTTPS_PROXY` of this shell is no URL, perhaps by its password.",
    remedy="correct the proxy, or export NO_PROXY={host}, here and for the daemon",
)
NO_SUCH_HOST = Trouble(
    check="dns",
    says="the host {host} has no address: {reason}",
    means="`llm_api_base` is misspelt, or this machine's DNS does not know the host.",
    remedy="devsynthctl config set llm_api_base URL, with the right host",
)
SLOW_DNS = Trouble(
    check="dns",
    says="nobody could say in time where {host} is",
    means="The name server does not answer; maybe there is no network.",
    remedy="check the network, or put the host's address instead of its name into llm_api_base",
)
NOT_RUNNING = Trouble(
    check="tcp",
    says="nobody listens at {tried}",
    means="LM Studio is not running, its server is switched off, or it uses another port.",
    remedy="start LM Studio, then Developer > Start server; or: lms server start",
)
OTHER_PORT = Trouble(
    check="tcp",
    says="nobody listens at {tried}, but something does at {found}",
    means="LM Studio listens at another port, or at 127.0.0.1 only while the settings say ::1.",
    remedy="if that is LM Studio: devsynthctl config set llm_api_base {url}",
)
NO_SERVER = Trouble(
    check="tcp",
    says="nobody listens at {tried}: no server runs there",
    means="The server of `llm_api_base` is not running, or uses another port.",
    remedy="start it, or correct the address: devsynthctl config set llm_api_base URL",
)
NOT_SHARED = Trouble(
    check="tcp",
    says="the machine at {tried} refuses the connection",
    means="No server runs there, or it serves its own machine only.",
    remedy="start it there; in LM Studio: Developer > Settings > Serve on local network",
)
PROXY_DOWN = Trouble(
    check="tcp",
    says="the proxy at {tried}, which is to lead to {address}, takes no connection",
    means="`HTTP_PROXY` or `HTTPS_PROXY` of this shell names a proxy that is not there.",
    remedy="export NO_PROXY={host}, here and for the daemon, or correct the proxy",
)
UNREACHABLE = Trouble(
    check="tcp",
    says="{tried} cannot be reached: {reason}",
    means="The machine is off or in another network, or a firewall is in between.",
    remedy="check the network and the host in llm_api_base",
)
NO_ANSWER_IN_TIME = Trouble(
    check="tcp",
    says="{tried} did not take the connection within {seconds} s",
    means="The machine is off, or a firewall swallows what is sent to it.",
    remedy="check the host in llm_api_base; for a slow network: devsynthctl config set "
    "llm_connect_timeout SECONDS",
)
SILENT = Trouble(
    check="http",
    says="{reason}",
    example="ADDRESS accepted the request, but an answer did not come within 5 s",
    means="The server takes connections but says nothing: it is stuck, or busy for long.",
    remedy="restart it; for LM Studio: lms server stop && lms server start",
)
UNTRUSTED = Trouble(
    check="http",
    says="{reason}",
    example="no secure connection to ADDRESS: its certificate is not trusted",
    means="The server's certificate was issued by an authority that this machine does not know.",
    remedy="devsynthctl config set llm_ca_bundle FILE, the CA certificate of that server",
)
TLS = Trouble(
    check="http",
    says="{reason}",
    example="no secure connection to ADDRESS: another reason",
    means="The server does not speak https there.",
    remedy="if it speaks http: devsynthctl config set llm_api_base {other}",
)
PROXY_FAILED = Trouble(
    check="http",
    says="{reason}",
    example="cannot reach ADDRESS through the proxy: the reason",
    means="A proxy of the environment stands between, and does not let it through.",
    remedy="export NO_PROXY={host}, here and for the daemon",
)
CLOSED = Trouble(
    check="http",
    says="{reason}",
    example="ADDRESS closed the connection unexpectedly",
    means="What listens there takes no HTTP request: it wants https, or is another service.",
    remedy="check port and scheme: devsynthctl config set llm_api_base URL",
)
NOT_HTTP = Trouble(
    check="http",
    says="{reason}",
    example="ADDRESS answered with something that is not HTTP",
    means="Another service than a language model server listens at that port.",
    remedy="devsynthctl config set llm_api_base URL, with the port of the server",
)
NO_HTTP = Trouble(
    check="http",
    says="{reason}",
    example="another reason why no answer came",
    means="The connection was made, but no answer came.",
    remedy="{hint}",
)

TROUBLES = (
    *(UNUSABLE_BASE, UNUSABLE_PROXY, NO_SUCH_HOST, SLOW_DNS),
    *(NOT_RUNNING, OTHER_PORT, NO_SERVER, NOT_SHARED, PROXY_DOWN, UNREACHABLE, NO_ANSWER_IN_TIME),
    *(SILENT, UNTRUSTED, TLS, PROXY_FAILED, CLOSED, NOT_HTTP, NO_HTTP),
)

_HTTP_TROUBLES: dict[Nature, Trouble] = {
    "silent": SILENT,
    "untrusted": UNTRUSTED,
    "tls": TLS,
    "proxy": PROXY_FAILED,
    "closed": CLOSED,
    "not_http": NOT_HTTP,
}


class Upstream(Struct, frozen=True, kw_only=True):
    """The server of the settings: *api_base* as a person wrote it; *address* as it is called.

    *proxy* is the host and port of the proxy before it, if there is one.
    """

    provider: str
    api_base: str
    address: str
    is_local: bool
    connect_s: float
    proxy: str | None = None


def judge_dns(host: str, found: Sequence[str] | OSError, proxy: str | None) -> Verdict:
    """Return whether *host* is known; *found* are its addresses, or why there are none."""
    match found:
        case TimeoutError():
            return SLOW_DNS.told(host=host)
        case OSError():
            return NO_SUCH_HOST.told(host=host, reason=found.strerror or found)
    if host in found:
        return ok(f"{host} needs no look-up")
    via = f" (the proxy {proxy})" if proxy else ""
    return ok(f"{host}{via} is {', '.join(found)}")


def judge_tcp(upstream: Upstream, tried: Sequence[Dialled], elsewhere: Dialled | None) -> Verdict:
    """Return whether one of the addresses *tried* took a connection.

    *elsewhere* is where on this machine something listens that may be what was meant.
    """
    if reached := next((each for each in tried if each.fault is None), None):
        via = f", the proxy for {upstream.address}" if upstream.proxy else ""
        return ok(f"{reached.address} takes connections{via}")
    return _no_connection(upstream, tried, elsewhere).told(
        tried=", ".join(each.address for each in tried),
        found=elsewhere.address if elsewhere else "",
        url=shlex.quote(_with_netloc(upstream.api_base, elsewhere.address) if elsewhere else ""),
        address=upstream.address,
        host=urlsplit(upstream.api_base).hostname or "",
        reason=next((each.reason for each in tried if each.reason), "no reason given"),
        seconds=f"{upstream.connect_s:g}",
    )


def _no_connection(
    upstream: Upstream, tried: Sequence[Dialled], elsewhere: Dialled | None
) -> Trouble:
    if upstream.proxy:
        return PROXY_DOWN
    if elsewhere:
        return OTHER_PORT
    faults = {each.fault for each in tried}
    if "refused" not in faults:
        return NO_ANSWER_IN_TIME if "timeout" in faults else UNREACHABLE
    if not upstream.is_local:
        return NOT_SHARED
    return NOT_RUNNING if upstream.provider == "lmstudio" else NO_SERVER


def judge_http(upstream: Upstream, status: int) -> Verdict:
    """Return that *upstream* speaks HTTP; any *status* shows that."""
    return ok(f"{upstream.address} answers (status {status})")


def judge_no_http(upstream: Upstream, error: DevsynthError, nature: Nature) -> Verdict:
    """Return what it means that an exchange ended with *error*, of that *nature*."""
    scheme, host = urlsplit(upstream.api_base).scheme, urlsplit(upstream.api_base).hostname
    if nature == "late" and scheme == "https":
        nature = "tls"  # the connection itself was made just before: the handshake hangs
    return _HTTP_TROUBLES.get(nature, NO_HTTP).told(
        reason=error,
        hint=error.hint or "the server's own log may say more",
        other=shlex.quote(_with_scheme(upstream.api_base, "http")),
        host=host or "",
    )


def _with_netloc(url: str, netloc: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def _with_scheme(url: str, scheme: str) -> str:
    return urlunsplit((scheme, *urlsplit(url)[1:3], "", ""))
