"""``config_get``, ``config_set`` and ``reload``: the settings, over the socket."""

from msgspec.structs import replace

from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.choice import require_listed
from devsynthd.settings.configuration import Configuration
from devsynthd.settings.report import keys_that_end, setting_infos, setting_outcome
from devsynthd.settings.values import NotAllowed, find_setting, refusal, typed_value
from devsynthd.wire.errors import ConfigInvalid, ModelNotFound
from devsynthd.wire.objects import Warn
from devsynthd.wire.requests import ConfigGet, ConfigSet, Value
from devsynthd.wire.results import ReloadOutcome, SettingOutcome, SettingsReport


class SettingsService:
    """Answers from *configuration*, but for the model that ``select`` has set, which wins."""

    def __init__(self, configuration: Configuration, catalog: Catalog) -> None:
        self._configuration, self._catalog = configuration, catalog

    def get(self, request: ConfigGet) -> SettingsReport:
        """Return one setting or all."""
        infos = setting_infos(self._configuration.loaded, self._catalog.wishes.selected)
        if request.key is None:
            return SettingsReport(settings=infos)
        wanted = find_setting(request.key)
        return SettingsReport(settings=tuple(info for info in infos if info.key == wanted.key))

    async def set(self, request: ConfigSet) -> SettingOutcome:
        """Write one setting to the file, and have it in force.

        Raises:
            ConfigInvalid: There is no such setting, it does not take the value, or the file
                cannot be written.
        """
        setting = find_setting(request.key)
        value: Value | None = None
        if request.value is not None:
            try:
                value = typed_value(setting, request.value)
            except NotAllowed as exc:
                raise ConfigInvalid(refusal(setting, setting.key, request.value, exc)) from exc
        await self._configuration.write(lambda _: {setting.key: value})
        wishes = self._catalog.wishes
        if setting.key in keys_that_end(wishes.selected):
            # Also where the file said so already: who sets it means it.
            self._catalog.wish(replace(wishes, selected=None))
        warnings = self._not_listed(value) if setting.key == "llm_model" else []
        return setting_outcome(
            setting, self._configuration.loaded, self._catalog.wishes.selected, *warnings
        )

    async def reload(self) -> ReloadOutcome:
        """Read the file now.

        Raises:
            ConfigInvalid: It is not valid; the settings stay as they are.
        """
        changed = await self._configuration.reload()
        return ReloadOutcome(config_generation=self._configuration.generation, changed=changed)

    def _not_listed(self, model: Value | None) -> list[Warn]:
        models = self._catalog.view.models
        if not model or models is None:
            return []
        try:
            require_listed(str(model), models, self._catalog.origin.address)
        except ModelNotFound as exc:
            near = exc.details["near"]
            meant = f": did you mean {', '.join(near)}?" if near else ""
            return [Warn("not_listed", f"{exc}{meant}")]
        return []
