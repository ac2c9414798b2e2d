"""What tests of the settings ask a daemon, and how they wait for a change to be in force."""

from pathlib import Path
from typing import Any

from tests.service.asking import RARELY_S, AnyDict, result, wait_status
from tests.support.daemon import Dealer, toml_of
from tests.support.upstream_server import UpstreamServer


def setting(dealer: Dealer, key: str) -> AnyDict:
    """Return what the daemon says of the setting *key*."""
    (found,) = result(dealer.ask(op="config_get", id=f"get {key}", key=key))["settings"]
    info: AnyDict = found
    return info


def in_force(dealer: Dealer, key: str) -> object:
    """Return the value that is in force."""
    return setting(dealer, key)["value"]


def wait_config(dealer: Dealer, **fields: object) -> AnyDict:
    """Return what ``status`` says of the config file once it says *fields*."""
    report = wait_status(
        dealer, lambda report: all(report["config"][name] == fields[name] for name in fields)
    )
    config: AnyDict = report["config"]
    return config


def wait_in_force(dealer: Dealer, key: str, value: object) -> None:
    """Wait until *value* is in force."""
    wait_status(dealer, lambda _: in_force(dealer, key) == value)


def save(path: Path, **settings: Any) -> None:  # noqa: ANN401 - any setting
    """Write *settings*, by key, to the file *path*, in place."""
    path.write_text(toml_of(settings), encoding="utf-8")


def basic(upstream: UpstreamServer | str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
    """Return settings for *upstream*, with *more*, that poll only when there is a reason to."""
    given = {
        "llm_provider": "openai",
        "llm_api_base": upstream if isinstance(upstream, str) else upstream.url,
        "daemon_poll_interval": RARELY_S,
        "daemon_shutdown_grace": 1.0,
    }
    return given | more
