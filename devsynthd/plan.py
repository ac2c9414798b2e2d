"""From the command line, the environment and the file to all that one run is made from."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from devsynthd.assembly import make_upstream
from devsynthd.host.activation import Inherited
from devsynthd.host.address import Address, socket_address
from devsynthd.host.disk import DISK, Disk
from devsynthd.host.limits import check_descriptor_limit
from devsynthd.host.paths import NOWHERE, absolute, cache_dir, config_path
from devsynthd.settings.configuration import Prepared
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.file import given_by_file, others_can_read
from devsynthd.settings.sources import Given, combine, given_by_environment, given_by_flags
from devsynthd.settings.trust import check_ca_bundle
from devsynthd.transport.outboxes import STALL_S
from devsynthd.upstream.weights import find_embedded
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value
from devsynthd.wire.text import named


class ConfigSource(Struct, frozen=True, kw_only=True):
    """The config file at *path*, and what holds beside it: flags and environment.

    *is_named*: somebody has named the file, so that it should be there. *lacks* are warnings of
    what the machine does not have, whatever the file says.
    """

    path: Path
    is_named: bool = False
    flags: Given
    environment: Given
    lacks: tuple[str, ...] = ()
    disk: Disk = DISK

    def read(self) -> Given | None:
        """Return what the file says now; null if there is none."""
        return given_by_file(self.path, self.disk)

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
        warnings = (*self.lacks, *loaded.warnings)
        if file is None and self.is_named:
            missing = f"{named(self.path)}, which was named as the config file, is not there"
            warnings = (*warnings, f"{missing}: the defaults hold until it is")
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

        edit_file(self.path, edits, approve_content, disk=self.disk)


class Plan(Struct, frozen=True, kw_only=True):
    """All that one run of the daemon is made from.

    *prepared* are the settings that it starts with, made from *file*, what the file said then.
    *listen_fd* is a socket that a service manager listens on already, at *address*. A client that
    has not read for *stall_s* seconds loses what it asked for.
    Without a *cache_dir* no list is kept for the next start. *disk* has that and the config file.
    """

    source: ConfigSource
    file: Given | None
    prepared: Prepared
    address: Address
    listen_fd: int | None
    cache_dir: Path | None
    stall_s: float = STALL_S
    disk: Disk = DISK


def make_plan(
    config: str | None,
    socket: str | None,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    inherited: Inherited | None = None,
    disk: Disk = DISK,
) -> Plan:
    """Return what to run.

    Args:
        config: The flag ``--config``, if it was given.
        socket: The flag ``--socket``, if it was given.
        flags: Further flags by the key of their setting; null: not given.
        environ: The daemon's environment.
        inherited: The socket that a service manager listens on for this run, if one does.
        disk: Where the config file and the cache are.

    Raises:
        ConfigInvalid: A setting, a path, the socket's address or a limit of the system will not do.
    """
    few_files = check_descriptor_limit()
    path, cache, homeless = _places(config, environ)
    address, listen_fd, deaf = _where(socket, environ, inherited)
    source = ConfigSource(
        path=path,
        is_named=_is_named(config, environ),
        flags=given_by_flags(flags),
        environment=given_by_environment(environ),
        lacks=tuple(each for each in (few_files, homeless, deaf) if each),
        disk=disk,
    )
    file = source.read()
    return Plan(
        source=source,
        file=file,
        prepared=source.prepare(file),
        address=address,
        listen_fd=listen_fd,
        cache_dir=cache,
        disk=disk,
    )


def _places(config: str | None, environ: Mapping[str, str]) -> tuple[Path, Path | None, str | None]:
    """Return the config file, the folder of the cache, and a warning if there is no place for one.

    A user without a home may have settings in the environment, and can do without the rest.

    Raises:
        ConfigInvalid: The config file was named, and cannot be that.
    """
    path, cache, lacks = NOWHERE / "config.toml", None, []
    try:
        path = config_path(config, environ)
    except ConfigInvalid:
        if _is_named(config, environ):
            raise
        lacks.append("no config file is read")
    try:
        cache = cache_dir()
    except ConfigInvalid:
        lacks.append("no list of models is kept for the next start")
    if not lacks:
        return path, cache, None
    return path, cache, f"this user has no home directory: {' and '.join(lacks)}; set HOME"


def _is_named(config: str | None, environ: Mapping[str, str]) -> bool:
    return config is not None or bool(environ.get("DEVSYNTH_CONFIG"))


def _where(
    socket: str | None, environ: Mapping[str, str], inherited: Inherited | None
) -> tuple[Address, int | None, str | None]:
    """Return where to listen, on which descriptor, and a warning if that is of no use.

    Where the service manager listens, if it does, and on its socket if anybody can find that.

    Raises:
        ConfigInvalid: The manager listens elsewhere than the daemon is told to.
    """
    if inherited is None:
        return socket_address(socket, environ), None, None
    there = socket_address(str(inherited.path), environ)
    if socket is not None or environ.get("DEVSYNTH_SOCKET"):
        told = socket_address(socket, environ)
        if told != there:
            raise ConfigInvalid(
                f"the service manager listens on {named(there.path)}, and the daemon is told to "
                f"listen on {named(told.path)}",
                hint="ListenStream= of devsynthd.socket must be the same path",
            )
    if there.path.is_socket():
        return there, inherited.fd, None
    deaf = (
        f"{named(there.path)}, which the service manager listens on, was removed: it is made anew; "
        "`systemctl --user restart devsynthd.socket` has the manager listen again"
    )
    return there, None, deaf
