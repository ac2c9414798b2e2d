"""The checks up to the daemon and its settings: looks, and has what it saw judged."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from devsynthctl.client import Client
from devsynthctl.doctor import looks
from devsynthctl.doctor.daemon_links import (
    UNUSABLE,
    Commands,
    judge_daemon,
    judge_silence,
    judge_socket,
    judge_version,
)
from devsynthctl.doctor.facts import Facts
from devsynthctl.doctor.sandbox import may_write
from devsynthctl.doctor.server_settings import ServerSettings, of_infos, of_settings
from devsynthctl.doctor.service_link import judge_service
from devsynthctl.doctor.settings_links import (
    HOMELESS,
    ConfigSeen,
    EnvironmentSeen,
    judge_config,
    judge_environment,
)
from devsynthctl.doctor.trouble import Look, Verdict, skipped
from devsynthctl.errors import NoAnswer
from devsynthctl.knock import start_command
from devsynthctl.render.shell import shell_difference
from devsynthctl.settings_access import is_same_file
from devsynthd import __version__
from devsynthd.host.address import Address, socket_address
from devsynthd.host.paths import absolute, config_path
from devsynthd.settings.file import given_by_file, others_can_read
from devsynthd.settings.report import setting_infos
from devsynthd.settings.sources import Given, combine, given_by_environment
from devsynthd.settings.trust import check_ca_bundle
from devsynthd.wire.errors import ConfigInvalid, DevsynthError
from devsynthd.wire.limits import PROTOCOL_VERSION
from devsynthd.wire.text import named


class DaemonSide:
    """Looks at the daemon whose socket was *given* (null: the one found without being told).

    *connect* makes a client for it; *environ* is that of this shell. What it finds goes into
    *facts*.
    """

    def __init__(
        self,
        given: str | None,
        environ: Mapping[str, str],
        connect: Callable[[], Client],
        facts: Facts,
    ) -> None:
        self._given, self._environ, self._connect = given, environ, connect
        self._facts = facts
        self._address: Address | None = None
        self._file: Given | None = None
        self._shell = given_by_environment(environ)
        self.client: Client | None = None
        """Whom to ask, once the daemon has answered."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The keys that are known here, and are never to be shown."""
        givens = (self._shell, self._file or Given())
        found = (str(each.values.get("llm_api_key", "")) for each in givens)
        return tuple(filter(None, found))

    def looks(self) -> dict[str, Look]:
        """Return what does each check here, by its name; each may need those before it."""
        return {
            "socket": self.socket,
            "daemon": self.daemon,
            "version": self.version,
            "service": self.service,
            "config": self.config,
        }

    def close(self) -> None:
        """Hang up."""
        if self.client:
            self.client.close()

    def is_kept_down(self) -> bool:
        """Return whether no daemon runs, and none could be started with its config file.

        Nobody is woken by that.
        """
        self._facts.service = looks.look_at_service(self._environ)
        with suppress(ConfigInvalid):
            self._address = socket_address(self._given, self._environ)
        if self._address is None:
            return False
        if not self._is_awaited() and looks.look_at_socket(self._address).fault is None:
            return False
        with suppress(ConfigInvalid):
            self._file = given_by_file(self._file_of_next())
        return bool(self._errors_of_file())

    def _file_of_next(self) -> Path:
        """Return the file that the daemon will read that is started next.

        Raises:
            ConfigInvalid: This shell has none.
        """
        service = self._facts.service
        if service and service.installed and self._is_the_users():
            told = looks.config_of_service(self._environ)
            if told is not None:
                return told
        return config_path(None, self._environ)

    def socket(self) -> Verdict:
        """Look whether somebody listens."""
        self._facts.service = looks.look_at_service(self._environ)
        try:
            self._address = socket_address(self._given, self._environ)
        except ConfigInvalid as exc:
            verdict = UNUSABLE.told(path="the daemon's socket", reason=exc)
            return Verdict(verdict.state, verdict.message, exc.hint)
        service = self._facts.service
        seen = looks.look_at_socket(self._address, knocks=not self._is_awaited())
        if service and service.socket:
            if not self._is_the_users():
                elsewhere = service.socket if self._given is None else None
                seen = replace(seen, elsewhere=elsewhere)
            elif service.listening:
                seen = replace(seen, manager=service.manager)
        return judge_socket(seen, self.commands())

    def daemon(self) -> Verdict:
        """Ask it how it is, and for its settings."""
        client, facts = self._connect(), self._facts
        try:
            facts.pong = client.ping()
            facts.status = client.status()
            facts.settings = client.config_get().settings
        except DevsynthError as exc:
            client.close()
            facts.pong = facts.status = facts.settings = None
            return self.silence(exc)
        self.client = client
        return judge_daemon(facts.pong)

    def silence(self, error: DevsynthError) -> Verdict:
        """Tell what it means that asking the daemon ended with *error*."""
        path = str(self._address.path) if self._address else ""
        return judge_silence(error, path, self.commands(is_stuck=isinstance(error, NoAnswer)))

    def version(self) -> Verdict:
        """Compare it with this command."""
        pong, commands = self._facts.pong, self.commands()
        if pong is None:
            return skipped("no daemon answers")
        return judge_version(pong, ours=__version__, protocol=PROTOCOL_VERSION, commands=commands)

    def service(self) -> Verdict:
        """Tell what the service manager says."""
        if not self._is_the_users():
            theirs = self._facts.service.socket if self._facts.service else None
            return skipped(f"the service has another socket{f', {theirs}' if theirs else ''}")
        # Anew: the first request may have started the daemon, or failed to.
        pong = self._facts.pong
        look = looks.look_at_service if pong else looks.look_at_settled_service
        service = self._facts.service = look(self._environ)
        is_systemd = service is not None and service.manager == "systemd"
        return judge_service(
            service,
            pong.pid if pong else None,
            is_stale=is_systemd and looks.is_stale(self._environ),
        )

    def config(self) -> Verdict:
        """Read the file that the daemon reads, or would read."""
        status, environ = self._facts.status, self._environ
        try:
            ours = config_path(None, environ) if status else self._file_of_next()
        except ConfigInvalid as exc:
            if status is None and not environ.get("DEVSYNTH_CONFIG"):
                return HOMELESS.told()  # a daemon that is started here would do without
            if status is None:
                return judge_config(ConfigSeen(path="", exists=False, errors=[str(exc)]))
            ours = Path(status.config.path)  # this shell has none at all
        path = Path(status.config.path) if status else ours
        self._file = given_by_file(path)
        return judge_config(
            ConfigSeen(
                path=named(path),
                exists=self._file is not None,
                errors=self._errors_of_file(),
                daemons=status.config.error if status and not status.config.valid else None,
                ours=None if is_same_file(ours, str(path)) else named(ours),
                is_open=bool(self._values_of_file().get("llm_api_key")) and others_can_read(path),
                locked=looks.locked_folder(path),
                full_disk=looks.full_disk(path),
                is_caged=self._is_caged(path),
            )
        )

    def environment(self, proxied: tuple[str, str] | None) -> Verdict:
        """Compare the variables of this shell with what the daemon has in force.

        *proxied* is a server's address and host that a proxy of this shell stands before.
        """
        shell, status = self._shell, self._facts.status
        notes = [shell_difference(shell, info) for info in self._facts.settings or ()]
        theirs = looks.variables_of_service(self._environ) if self._is_the_services() else {}
        seen = EnvironmentSeen(
            has_daemon=status is not None,
            errors=() if status else shell.errors,
            notes=tuple(filter(None, notes)),
            useless=shell.errors if status else (),
            unknown=shell.warnings,
            unknown_there=given_by_environment(theirs).warnings,
            hidden=status.config.overrides if status else (),
            proxied=proxied,
        )
        return judge_environment(seen, self.commands().restart)

    def server_settings(self) -> ServerSettings | None:
        """Return which server answers: by the daemon, else by file and environment, if valid."""
        if infos := self._facts.settings:
            key = self._values_of_file().get("llm_api_key")
            return of_infos(infos, None if key is None else str(key))
        with suppress(ConfigInvalid):
            loaded = combine(flags=Given(), environment=self._shell, file=self._file)
            self._facts.settings_here = setting_infos(loaded)
            return of_settings(loaded.settings)
        return None

    def commands(self, *, is_stuck: bool = False) -> Commands:
        """Return what starts and restarts this daemon; *is_stuck*: it heeds no command."""
        service = self._facts.service
        if service and service.installed and self._is_the_users():
            return Commands("devsynthctl service start", "devsynthctl service restart")
        start = f"{start_command(self._given)} &"
        if not is_stuck:
            return Commands(start, f"devsynthctl shutdown; {start}")
        pid = looks.listener_of(self._address.path) if self._address else None
        if pid and looks.is_suspended(pid):
            return Commands(start, f"kill -CONT {pid}")
        if pid and not looks.is_service_manager(pid):
            return Commands(start, f"kill -9 {pid}; {start}")
        return Commands(start, f"end what listens there (pgrep -f devsynthd), then: {start}")

    def _values_of_file(self) -> Mapping[str, object]:
        return self._file.values if self._file else {}

    def _errors_of_file(self) -> tuple[str, ...]:
        if self._file is None or self._file.errors:
            return self._file.errors if self._file else ()
        if bundle := self._file.values.get("llm_ca_bundle"):
            try:
                check_ca_bundle(absolute(str(bundle)))
            except ConfigInvalid as exc:
                return (str(exc),)
        return ()

    def _is_the_users(self) -> bool:
        """Return whether the socket is the one that the service listens on, or one would."""
        if self._address is None:
            return False
        if (service := self._facts.service) and service.socket:
            return is_same_file(self._address.path, service.socket)
        with suppress(ConfigInvalid):
            default = socket_address(None, {**self._environ, "DEVSYNTH_SOCKET": ""})
            return default.path == self._address.path
        return False

    def _is_awaited(self) -> bool:
        """Return whether the service manager listens, and has no daemon that runs."""
        service = self._facts.service
        is_awaited = service is not None and service.listening and not service.running
        return is_awaited and self._is_the_users()

    def _is_the_services(self) -> bool:
        """Return whether the daemon that answers is the one that systemd has started."""
        service, pong = self._facts.service, self._facts.pong
        if not (service and pong and service.manager == "systemd"):
            return False
        return service.installed and service.pid == pong.pid

    def _is_caged(self, path: Path) -> bool:
        """Return whether its sandbox keeps the daemon from replacing the file at *path*."""
        if not self._is_the_services():
            return False
        folder = Path(os.path.realpath(path)).parent
        return not may_write(folder, looks.sandbox_of_service(self._environ))
