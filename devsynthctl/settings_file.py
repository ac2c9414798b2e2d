"""The settings of a daemon that does not run: from its file and this shell's environment."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Raw, msgpack, structs

from devsynthctl.render.settings import Place
from devsynthd.host.paths import absolute
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.file import given_by_file, load_settings
from devsynthd.settings.report import setting_infos, setting_outcome
from devsynthd.settings.setting import Setting
from devsynthd.settings.sources import Given, combine, given_by_environment
from devsynthd.settings.trust import check_ca_bundle
from devsynthd.settings.values import NotAllowed, find_setting, refusal, typed_value
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.objects import Warn
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingsReport


class FileSettings:
    """The settings that the file *path* and *environ* make; *socket* is where no daemon answers."""

    running = False

    def __init__(self, path: Path, environ: Mapping[str, str], socket: Path) -> None:
        self._path, self._environ = path, environ
        self._caveat = (
            f"no daemon answers at {socket}: these are the settings that one started from this "
            "shell would have"
        )

    @property
    def caveat(self) -> str | None:
        """That they are those of no daemon."""
        return self._caveat

    def get(self, key: str | None) -> Raw:
        """Read the file."""
        wanted = find_setting(key) if key is not None else None
        infos = setting_infos(load_settings(self._path, self._environ, {}))
        if wanted:
            infos = tuple(info for info in infos if info.key == wanted.key)
        return Raw(msgpack.encode(SettingsReport(settings=infos)))

    def set(self, key: str, value: Value | None) -> Raw:
        """Write the file, if it is valid then."""
        # Slow to import, and only needed where something is written.
        from devsynthd.settings.store import edit_file  # noqa: PLC0415

        setting = find_setting(key)
        edit_file(self._path, {setting.key: _typed(setting, value)}, self._approve)
        loaded = combine(
            flags=Given(),
            # One that is not valid keeps a daemon from starting, not the file from changing.
            environment=Given(values=given_by_environment(self._environ).values),
            file=given_by_file(self._path),
        )
        outcome = setting_outcome(setting, loaded)
        if setting.key in loaded.overrides:
            text = f"{setting.env} of this shell hides it from a daemon that is started here"
            outcome = structs.replace(outcome, warnings=(Warn("env_override", text),))
        return Raw(msgpack.encode(outcome))

    def place(self) -> Place:
        """Return the file, which no daemon has."""
        return Place(path=str(self._path), pid=None)

    def _approve(self, content: bytes) -> None:
        file = given_by_toml(content, str(self._path))
        settings = combine(flags=Given(), environment=Given(), file=file).settings
        if settings.llm_ca_bundle:
            check_ca_bundle(absolute(settings.llm_ca_bundle))


def _typed(setting: Setting, value: Value | None) -> Value | None:
    if value is None:
        return None
    try:
        return typed_value(setting, value)
    except NotAllowed as exc:
        raise ConfigInvalid(refusal(setting, setting.key, value, exc)) from exc
