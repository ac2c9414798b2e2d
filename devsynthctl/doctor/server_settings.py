"""The settings that say which server answers, from whoever knows them. Pure."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from devsynthd.settings.schema import Settings
from devsynthd.wire.objects import Provider, SettingInfo


class ServerSettings(Struct, frozen=True, kw_only=True):
    """What of the settings concerns the server; *llm_api_key* null: only the daemon has it."""

    llm_provider: Provider
    llm_api_base: str
    llm_api_key: str | None
    llm_connect_timeout: float
    llm_ca_bundle: str
    embedded_enabled: str
    embedded_model_path: str

    def __repr__(self) -> str:  # without the key
        return f"ServerSettings({self.llm_provider} at {self.llm_api_base})"


def of_settings(settings: Settings) -> ServerSettings:
    """Return those in *settings*."""
    return ServerSettings(
        **{name: getattr(settings, name) for name in ServerSettings.__struct_fields__}
    )


def of_infos(infos: Iterable[SettingInfo], key_in_file: str | None) -> ServerSettings:
    """Return those that a daemon tells, which masks its key.

    *key_in_file* is the key in the file that it reads, if that has one.
    """
    values: dict[str, Any] = {info.key: info.value for info in infos}
    sources = {info.key: info.source for info in infos}
    if values["llm_api_key"]:
        values["llm_api_key"] = key_in_file if sources["llm_api_key"] == "file" else None
    return ServerSettings(**{name: values[name] for name in ServerSettings.__struct_fields__})
