"""The settings in force as clients are told of them. Pure."""

from devsynthd.settings.schema import BY_KEY, MASK, SETTINGS, Setting
from devsynthd.settings.sources import Loaded
from devsynthd.wire.objects import SettingInfo, SettingSource, Warn
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingOutcome

CHOSEN_AUTOMATICALLY = ""
"""As the selected model: ``select`` said that the daemon chooses."""


def keys_that_end(selected: str | None) -> tuple[str, ...]:
    """Return the settings that, when they are set, have the last word over what is *selected*."""
    if selected == CHOSEN_AUTOMATICALLY:
        return ("llm_model", "llm_auto_select_model")
    return () if selected is None else ("llm_model",)


def masked(setting: Setting, value: Value) -> Value:
    """Return *value* as it may be shown."""
    return MASK if setting.secret and value else value


def setting_infos(loaded: Loaded, selected: str | None = None) -> tuple[SettingInfo, ...]:
    """Return every setting in the order of the file.

    *selected* is the model that ``select`` has set for this run of the daemon, if any.
    """
    return tuple(_info(setting, loaded, selected) for setting in SETTINGS)


def setting_outcome(
    setting: Setting, loaded: Loaded, selected: str | None = None, *warnings: Warn
) -> SettingOutcome:
    """Return what became of writing *setting*; *loaded* is in force since.

    It warns by itself if the file sets in vain what it sets.
    """
    info = _info(setting, loaded, selected)
    if setting.key in loaded.overrides:
        text = f"{hider(setting.key, loaded)} hides it: what that says is in force"
        warnings = (Warn("env_override", text), *warnings)
    return SettingOutcome(
        key=setting.key,
        value=masked(setting, loaded.in_file[setting.key])
        if setting.key in loaded.in_file
        else None,
        effective=info.value,
        source=info.source,
        warnings=warnings,
    )


def hider(key: str, loaded: Loaded) -> str:
    """Return what hides the value that the file has for *key*, which something does."""
    if loaded.sources[key] == "flag":
        return "a flag of the daemon"
    return f"the daemon's variable {BY_KEY[key].env}"


def _info(setting: Setting, loaded: Loaded, selected: str | None) -> SettingInfo:
    value, source = _in_force(setting, loaded, selected)
    return SettingInfo(
        key=setting.key,
        value=masked(setting, value),
        source=source,
        default=masked(setting, setting.default),
        description=setting.description,
        secret=setting.secret,
    )


def _in_force(
    setting: Setting, loaded: Loaded, selected: str | None
) -> tuple[Value, SettingSource]:
    value: Value = getattr(loaded.settings, setting.key)
    if selected is not None and setting.key == "llm_model":
        return selected, "selected"
    if selected == CHOSEN_AUTOMATICALLY and setting.key == "llm_auto_select_model" and not value:
        return True, "selected"
    return value, loaded.sources.get(setting.key, "default")
