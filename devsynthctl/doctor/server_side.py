"""The checks of the server that answers: looks, and has what it saw judged."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from devsynthctl.client import Client
from devsynthctl.doctor import looks
from devsynthctl.doctor.answer_links import NO_LIST, judge_models, judge_source
from devsynthctl.doctor.api_links import (
    judge_api,
    judge_engine,
    judge_key,
    judge_no_list,
    judge_refused_key,
)
from devsynthctl.doctor.facts import Facts
from devsynthctl.doctor.server_settings import ServerSettings
from devsynthctl.doctor.trouble import Look, Verdict, ok, skipped
from devsynthctl.doctor.upstream_links import (
    UNUSABLE_BASE,
    UNUSABLE_PROXY,
    Upstream,
    judge_dns,
    judge_http,
    judge_no_http,
    judge_tcp,
)
from devsynthd.host.paths import absolute
from devsynthd.settings.base_url import upstream_base
from devsynthd.upstream.probe import (
    Dialled,
    Listing,
    Nature,
    Probe,
    ProxyUnusable,
    Target,
    find_engine,
    nature,
    try_address,
)
from devsynthd.wire.errors import ConfigInvalid, DevsynthError

LMSTUDIO_PORT = 1234
NEIGHBOUR_S = 0.5
LIST_S = 15.0
"""How long the daemon may take to ask the server for its models: it has limits of its own."""

_LOOPBACK = ("127.0.0.1", "::1")


class ServerSide:
    """Looks at the server of *settings*; *client* null: no daemon can be asked for its view.

    Args:
        settings: Which server, and how it is reached.
        client: Connected to the daemon.
        facts: Where the list of models goes.
        restart: What restarts the daemon.
        home: Where LM Studio notes its port; null: nowhere.
    """

    def __init__(
        self,
        settings: ServerSettings,
        client: Client | None,
        facts: Facts,
        *,
        restart: str,
        home: Path | None,
    ) -> None:
        self._settings, self._client, self._facts = settings, client, facts
        self._restart, self._home = restart, home
        self._addresses: Sequence[str] = ()
        self._listing: Listing | None = None
        self._refused = False
        self._probe: Probe | None = None
        self._flaw: ConfigInvalid | None = None
        try:
            self._probe = Probe(_target(settings))
        except ConfigInvalid as exc:
            self._flaw = exc

    def looks(self) -> dict[str, Look]:
        """Return what does each check that applies here, by its name."""
        links: dict[str, Look] = {
            "dns": self.dns,
            "tcp": self.tcp,
            "http": self.http,
            "api": self.api,
            "auth": self.auth,
        }
        return {
            **({} if self.is_embedded else links),
            "engine": self.engine,
            "models": self.models,
        }

    @property
    def is_embedded(self) -> bool:
        """Whether there is no server: the daemon answers by an engine of its own."""
        return self._settings.llm_provider == "embedded"

    @property
    def proxied(self) -> tuple[str, str] | None:
        """The server's address and host, if a proxy of this process stands before it."""
        if self.is_embedded or not (self._probe and self._probe.proxy):
            return None
        return self._probe.address, urlsplit(self._settings.llm_api_base).hostname or ""

    def close(self) -> None:
        """Close the connections."""
        if self._probe:
            self._probe.close()

    def dns(self) -> Verdict:
        """Look up the host."""
        if self._probe is None:
            if isinstance(self._flaw, ProxyUnusable):
                host = urlsplit(self._settings.llm_api_base).hostname
                return UNUSABLE_PROXY.told(reason=self._flaw, host=host)
            return UNUSABLE_BASE.told(reason=self._flaw)
        host, proxy = self._probe.host, self._upstream(self._probe).proxy
        try:
            self._addresses = self._probe.resolve()
        except OSError as exc:
            return judge_dns(host, exc, proxy)
        return judge_dns(host, self._addresses, proxy)

    def tcp(self) -> Verdict:
        """Connect."""
        if self._probe is None:
            return skipped("the address cannot be used")
        tried = self._probe.dial(tuple(self._addresses))
        upstream = self._upstream(self._probe)
        is_refused = tried[-1].fault is not None and upstream.is_local
        return judge_tcp(upstream, tried, self._elsewhere(tried) if is_refused else None)

    def http(self) -> Verdict:
        """Ask something small."""
        if self._probe is None:
            return skipped("the address cannot be used")
        upstream = self._upstream(self._probe)
        try:
            return judge_http(upstream, self._probe.ask())
        except DevsynthError as exc:
            return judge_no_http(upstream, exc, nature(exc))

    def api(self) -> Verdict:
        """List the models, as the daemon does; with a key that only it has, by its word."""
        address = self._address
        try:
            if self._settings.llm_api_key is None:
                return self._api_by_daemon()
            if self._probe is None:
                return skipped("the address cannot be used")
            self._listing = self._probe.models()
        except DevsynthError as exc:
            return self._no_list(str(exc), exc.hint, nature(exc))
        self._facts.models = self._listing.models
        return judge_api(self._settings.llm_provider, address, self._listing.api)

    def auth(self) -> Verdict:
        """Tell whether the key was accepted."""
        key = self._settings.llm_api_key
        if self._refused:
            return judge_refused_key(self._address, has_key=key != "")
        return judge_key(has_key=bool(key), known=key is not None)

    def engine(self) -> Verdict | None:
        """Look for the embedded engine; null: the settings ask for none."""
        settings, status = self._settings, self._facts.status
        found = find_engine(
            settings.llm_provider, settings.embedded_enabled, settings.embedded_model_path
        )
        if found is None:
            return None
        if self.is_embedded and status and status.source.reachable:
            return ok(f"the daemon has it, with {found.weights or 'its model'}")
        weights = str(found.weights) if found.weights else None
        return judge_engine(weights, found.reason, required=self.is_embedded)

    def models(self) -> Verdict:
        """Have the daemon list the models, and say who answers; else judge our own list."""
        address = self._address
        if self._client is None:
            if self._listing is None:
                return skipped("no daemon answers")
            return judge_models(self._listing.api, address, self._listing.models, None)
        try:
            listed = self._client.list(refresh=True, timeout=LIST_S)
        except DevsynthError as exc:
            return NO_LIST.told(reason=exc, restart=self._restart)
        self._facts.models = listed.models
        trouble = judge_source(listed.source, self._restart)
        return trouble or judge_models(listed.source.api, address, listed.models, listed.selection)

    @property
    def _address(self) -> str:
        return self._probe.address if self._probe else self._settings.llm_api_base

    def _api_by_daemon(self) -> Verdict:
        if self._client is None:
            return skipped("no daemon answers, and only that has the API key")
        source = self._client.list(refresh=True, timeout=LIST_S).source
        if source.error:
            kind: Nature = "auth" if source.error.code == "upstream_auth" else "other"
            return self._no_list(source.error.message, "devsynthctl status", kind)
        return judge_api(self._settings.llm_provider, self._address, source.api or "openai")

    def _no_list(self, reason: str, hint: str | None, kind: Nature) -> Verdict:
        if kind == "auth":
            self._refused = True
            return ok(f"{self._address} is there, and asks for an API key")
        return judge_no_list(reason, hint, kind)

    def _elsewhere(self, tried: Sequence[Dialled]) -> Dialled | None:
        """Return what listens on this machine where the server may be instead."""
        if self._probe is None:
            return None
        places = [(host, self._probe.port) for host in _LOOPBACK]
        if self._settings.llm_provider == "lmstudio":
            noted = looks.lmstudio_port(self._home) if self._home else None
            places += [(_LOOPBACK[0], port) for port in (noted, LMSTUDIO_PORT) if port]
        known = {each.address for each in tried}
        for host, port in places:
            found = try_address(host, port, NEIGHBOUR_S)
            if found.fault is None and found.address not in known:
                return found
        return None

    def _upstream(self, probe: Probe) -> Upstream:
        settings, proxy = self._settings, None
        if probe.proxy:
            proxy = f"{probe.host}:{probe.port}"
        return Upstream(
            provider=settings.llm_provider,
            api_base=settings.llm_api_base,
            address=probe.address,
            is_local=probe.is_local,
            connect_s=settings.llm_connect_timeout,
            proxy=proxy,
        )


def _target(settings: ServerSettings) -> Target:
    bundle = settings.llm_ca_bundle
    return Target(
        provider=settings.llm_provider,
        base_url=upstream_base(settings.llm_provider, settings.llm_api_base),
        api_key=settings.llm_api_key or "",
        connect_s=settings.llm_connect_timeout,
        ca_bundle=str(absolute(bundle)) if bundle else "",
    )
