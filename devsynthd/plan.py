"""From the command line, the environment and the file to all that one run is made from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from devsynthd.assembly import make_upstream
from devsynthd.host.address import Address, socket_address
from devsynthd.host.paths import absolute, cache_dir, config_path
from devsynthd.settings.configuration import Prepared
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.file import given_by_file, others_can_read
from devsynthd.settings.sources import Given, combine, given_by_environment, given_by_flags
from devsynthd.settings.trust import check_ca_bundle
from devsynthd.transport.router import STALL_S
from devsynthd.upstream.weights import find_embedded
from devsynthd.wire.requests import Value
from devsynthd.wire.text import named


class ConfigSource(Struct, frozen=True, kw_only=True):
    """The config file at *path*, and what holds beside it: flags and environment."""

    path: Path
    flags: Given
    environment: Given

    def read(self) -> Given | None:
        """Return what the file says now; null if there is none."""
        return given_by_file(self.path)

    def prepare(self, file: Given | None) -> Prepared:
        """Return the settings that hold where the file says *file*, if the machine can do that.

        Raises:
            ConfigInvalid: A setting is not allowed, or a file that it names is missing.
        """
        loaded = combine(flags=self.flags, environment=self.environment, file=file)
        settings = loaded.settings
        embedded = find_embedded(
            settings.llm_provider, settings.embedded_enabled, settings.embedded_model_path
        )
        if settings.llm_ca_bundle:
            check_ca_bundle(absolute(settings.llm_ca_bundle))
        if settings.llm_provider != "embedded":
            make_upstream(settings, None)  # only to see that it can be made
        warnings = loaded.warnings
        if embedded.weights is None and settings.embedded_model_path and embedded.reason:
            warnings = (*warnings, f"no embedded engine: {embedded.reason}")
        if loaded.in_file.get("llm_api_key") and others_can_read(self.path):
            warnings = (
                *warnings,
                f"{named(self.path)} has llm_api_key, and other users can read it",
            )
        return Prepared(loaded=loaded, weights=embedded.weights, warnings=warnings)

    def write(self, edits: Mapping[str, Value | None], approve: Callable[[Given], object]) -> None:
        """Set and (null) unset *edits* in the file, if *approve* takes what it says then.

        Raises:
            ConfigInvalid: It cannot be written, or *approve* raises it.
        """
        # Slow to import, and most runs never write.
        from devsynthd.settings.store import edit_file  # noqa: PLC0415

        def approve_content(content: bytes) -> None:
            approve(given_by_toml(content, named(self.path)))

        edit_file(self.path, edits, approve_content)


class Plan(Struct, frozen=True, kw_only=True):
    """All that one run of the daemon is made from.

    *prepared* are the settings that it starts with, made from *file*, what the file said then. A
    client that has not read for *stall_s* seconds loses what it asked for.
    """

    source: ConfigSource
    file: Given | None
    prepared: Prepared
    address: Address
    cache_dir: Path
    stall_s: float = STALL_S


def make_plan(
    config: str | None,
    socket: str | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
) -> Plan:
    """Return what to run.

    Args:
        config: The flag ``--config``, if it was given.
        socket: The flag ``--socket``, if it was given.
        flags: Further flags by the key of their setting; null: not given.
        environ: The daemon's environment.

    Raises:
        ConfigInvalid: A setting, a path or the socket's address is not allowed.
    """
    source = ConfigSource(
        path=config_path(config, environ),
        flags=given_by_flags(flags),
        environment=given_by_environment(environ),
    )
    file = source.read()
    return Plan(
        source=source,
        file=file,
        prepared=source.prepare(file),
        address=socket_address(socket, environ),
        cache_dir=cache_dir(),
    )
