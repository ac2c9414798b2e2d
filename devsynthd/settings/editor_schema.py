"""The JSON Schema of the config file, by which editors complete and check it. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from devsynthd.settings.schema import SETTINGS, SURROGATES, TABLES, Setting, Settings

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """Return the JSON Schema of the config file, a table an object.

    It refuses nothing that the daemon takes. The daemon alone looks closely at a host's name and
    at how large a port is, and knows that ``nan`` is no number.
    """
    fields = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    tables = {
        table: _closed({s.name: _property(s, fields[s.key]) for s in SETTINGS if s.table == table})
        for table in TABLES
    }
    return {"$schema": DRAFT, "title": "The settings of devsynthd", **_closed(tables)}


def _closed(properties: Mapping[str, object]) -> dict[str, Any]:
    """Return the schema of a table that has *properties* and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _property(setting: Setting, field: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of *setting*; *field* is what its type says of it."""
    told = {**field, "description": setting.help}
    if setting.choices:  # in their order; msgspec sorts them
        told |= {"type": "string", "enum": list(setting.choices)}
    if pattern := field.get("pattern"):
        # No TOML has them, and the regular expressions of editors written in Rust neither.
        told["pattern"] = pattern.replace(SURROGATES, "")
    return told
