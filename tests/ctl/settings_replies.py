"""Settings as daemons tell them, to be changed where a test needs it."""

from typing import Any

from devsynthd.settings.schema import BY_KEY
from tests.support.replies import STATUS

SECRET = "sk-hunter2"  # noqa: S105 - found nowhere else
STATUS_PATH = STATUS["config"]["path"]


def setting(key: str, value: object = None, source: str = "default") -> dict[str, Any]:
    """Return the setting *key*; *value* null: its default."""
    declared = BY_KEY[key]
    return {
        "key": key,
        "value": declared.default if value is None else value,
        "source": source,
        "default": declared.default,
        "description": declared.description,
        "secret": declared.secret,
    }


def report(*settings: dict[str, Any]) -> dict[str, Any]:
    """Return the result of ``config_get``."""
    return {"settings": list(settings)}


def outcome(
    key: str, value: object, effective: object, source: str, *warnings: dict[str, Any]
) -> dict[str, Any]:
    """Return the result of ``config_set``."""
    told = {"key": key, "value": value, "effective": effective, "source": source}
    return told | {"warnings": list(warnings)}


def with_config(**changes: object) -> dict[str, Any]:
    """Return the status of a daemon whose config file is otherwise."""
    return STATUS | {"config": STATUS["config"] | changes}
