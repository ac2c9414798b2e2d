"""From the settings to what each room is made of. Makes things; changes nothing."""

from devsynthd.catalog.catalog import Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.pace import Pace
from devsynthd.host.paths import absolute
from devsynthd.service.conversation import Defaults
from devsynthd.settings.base_url import upstream_base
from devsynthd.settings.configuration import Prepared
from devsynthd.settings.schema import Settings
from devsynthd.upstream.base import Upstream
from devsynthd.upstream.embedded import EmbeddedUpstream
from devsynthd.upstream.engine import Engine, EngineConfig
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.openai import OpenAIUpstream

MAKES_AN_UPSTREAM = (
    "llm_provider",
    "llm_api_base",
    "llm_api_key",
    "llm_fallback_model",
    "llm_connect_timeout",
    "llm_first_token_timeout",
    "llm_idle_timeout",
    "llm_ca_bundle",
    "daemon_max_concurrency",
)
"""The settings that an upstream is made from: if one changes, another upstream is needed."""


def origin_of(settings: Settings) -> Origin:
    """Return whose models are listed."""
    provider = settings.llm_provider
    if provider == "embedded":
        return Origin(provider, provider)
    return Origin(provider, upstream_base(provider, settings.llm_api_base))


def wishes_of(settings: Settings, selected: str | None) -> Wishes:
    """Return what the user wants to answer; *selected* is what ``select`` has set."""
    return Wishes(
        selected=selected,
        configured=settings.llm_model,
        auto_select=settings.llm_auto_select_model,
        stand_in=settings.llm_fallback_model,
    )


def pace_of(settings: Settings) -> Pace:
    """Return how often the upstream is polled."""
    return Pace(settings.daemon_poll_interval, settings.daemon_idle_poll_interval)


def defaults_of(settings: Settings) -> Defaults:
    """Return what holds for generations that do not say it."""
    return Defaults(settings.llm_max_tokens, settings.llm_temperature)


def engine_config(prepared: Prepared) -> EngineConfig | None:
    """Return what the embedded engine runs; null where it may not answer."""
    settings = prepared.loaded.settings
    if prepared.weights is None:
        return None
    return EngineConfig(
        model_path=prepared.weights,
        context_length=settings.embedded_context_length,
        threads=settings.embedded_threads,
    )


def make_stand_in(prepared: Prepared, engine: Engine) -> EmbeddedUpstream | None:
    """Return who may answer in place of an upstream that is not reachable, if anybody may."""
    settings = prepared.loaded.settings
    if prepared.weights is None:
        return None
    return EmbeddedUpstream(
        engine,
        settings.llm_fallback_model,
        timeouts=_timeouts(settings),
        max_threads=settings.daemon_max_concurrency,
    )


def make_upstream(settings: Settings, stand_in: EmbeddedUpstream | None) -> Upstream:
    """Return who answers.

    Raises:
        ConfigInvalid: The upstream's URL or key cannot be used.
    """
    if settings.llm_provider == "embedded" and stand_in is not None:
        return stand_in
    kind = LMStudioUpstream if settings.llm_provider == "lmstudio" else OpenAIUpstream
    return kind(
        upstream_base(settings.llm_provider, settings.llm_api_base),
        api_key=settings.llm_api_key,
        timeouts=_timeouts(settings),
        ca_bundle=settings.llm_ca_bundle and str(absolute(settings.llm_ca_bundle)),
        max_threads=settings.daemon_max_concurrency,
    )


def _timeouts(settings: Settings) -> Timeouts:
    return Timeouts(
        connect_s=settings.llm_connect_timeout,
        first_token_s=settings.llm_first_token_timeout,
        idle_s=settings.llm_idle_timeout,
    )
