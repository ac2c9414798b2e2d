"""The settings in the environment of who asks, as fields of a generation. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from devsynthd.wire.errors import ConfigInvalid

_SETTINGS = {
    "model": "llm_model",
    "max_tokens": "llm_max_tokens",
    "temperature": "llm_temperature",
}
"""The settings that stand in for fields of a generation."""


def fields_of_environment(environ: Mapping[str, str], given: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a generation that *environ* sets, but for those *given* already.

    The daemon has an environment of its own; this is the one of who asks.

    Raises:
        ConfigInvalid: A value is not allowed; it names the variable.
    """
    # Slow to import, so only for those who ask for a generation.
    from devsynthd.settings.schema import BY_KEY  # noqa: PLC0415 - see above
    from devsynthd.settings.values import (  # noqa: PLC0415 - see above
        NotAllowed,
        parse_value,
        refusal,
    )

    fields: dict[str, Any] = {}
    for field, key in _SETTINGS.items():
        setting = BY_KEY[key]
        text = environ.get(setting.env)
        if not text or field in given:
            continue
        try:
            fields[field] = parse_value(setting, text)
        except NotAllowed as exc:
            raise ConfigInvalid(
                refusal(setting, setting.env, text, exc),
                hint=f"correct it, or clear it with `unset {setting.env}`",
            ) from exc
    return fields
