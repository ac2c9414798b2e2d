"""Boots this machine's own systemd in a container, over a copy of its files that is thrown away.

The files are those of ``/``, with a layer in memory that takes every write. The mounts are made
in a namespace of their own: they go with the last process in it, however that ends.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.needs import need, need_root

BOOT_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0

PACKAGE = "apt-get install systemd-container dbus-user-session"

# Sessions and their managers, but none of the services that this machine happens to have.
TARGET = """\
[Unit]
Description=What the tests need
Requires=basic.target
Wants=dbus.socket systemd-logind.service systemd-user-sessions.service
After=basic.target dbus.socket systemd-logind.service systemd-user-sessions.service
AllowIsolate=yes
"""

# An empty machine-id is a new one at every boot, without the questions of a first boot.
BOOT = """
folder=$1 unit=$2; shift 2
mount -t tmpfs -o mode=0755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
: >"$folder/root/etc/machine-id"
printf %s "$unit" >"$folder/root/etc/systemd/system/tests.target"
exec systemd-nspawn --directory="$folder/root" --machine="ds-box-$$" --register=no \
  --keep-unit --private-network --console=pipe --notify-ready=yes "$@" \
  --boot systemd.unit=tests.target
"""


class Container:
    """A booted system. *leader* is the pid, outside, of its first process."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(self, command: list[str], limit_s: float = 15.0) -> subprocess.CompletedProcess[str]:
        """Run *command* as root in ``/``, with the address of root's own service manager."""
        return subprocess.run(
            ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", *command],
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": "/root",
                "LANG": "C.UTF-8",
                "XDG_RUNTIME_DIR": "/run/user/0",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )

    def start_user_manager(self, user: str = "root") -> None:
        """Start the service manager of *user*, to stay without a login."""
        uid = self.run(["id", "-u", user]).stdout.strip()
        for command in (
            ["loginctl", "enable-linger", user],
            ["systemctl", "start", f"user@{uid}.service"],
        ):
            self.run(command).check_returncode()


@contextmanager
def booted_container(*folders: Path) -> Iterator[Container]:
    """Boot, hand out, and power off a container that sees *folders* read-only at their own paths.

    Folders of the root file system are there anyway, but for those under ``/tmp`` and ``/run``.
    Takes about three seconds to boot; has a network of its own, with nothing but loopback.
    """
    need_root()
    for command in ("systemd-nspawn", "unshare", "nsenter"):
        need(command, PACKAGE)
    folder = Path(tempfile.mkdtemp(prefix="ds-box-"))
    console = folder.with_suffix(".log")
    try:
        with _notify_socket(folder.with_suffix(".sock")) as notify:
            machine = _start(folder, folders, notify, console)
            try:
                yield Container(_leader_when_ready(notify, machine, console))
            finally:
                _power_off(machine)
    finally:
        console.unlink(missing_ok=True)
        folder.rmdir()


@contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        try:
            yield notify
        finally:
            path.unlink()


def _start(
    folder: Path, shared: tuple[Path, ...], notify: socket.socket, console: Path
) -> subprocess.Popen[bytes]:
    binds = [f"--bind-ro={path}" for path in shared]
    # It goes also when the tests are killed.
    apart = ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount"]
    with console.open("wb") as output:
        return subprocess.Popen(
            [*apart, "sh", "-ec", BOOT, "sh", str(folder), TARGET, *binds],
            env=os.environ | {"NOTIFY_SOCKET": notify.getsockname()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C for the tests must not end it before they can
        )


def _leader_when_ready(
    notify: socket.socket, machine: subprocess.Popen[bytes], console: Path
) -> int:
    """Return the pid of the container's first process once the system is up."""
    said: dict[str, str] = {}
    notify.settimeout(1.0)  # how soon a machine that died is noticed
    deadline = time.monotonic() + BOOT_LIMIT_S
    while "READY" not in said or "X_NSPAWN_LEADER_PID" not in said:
        try:
            lines = notify.recv(4096).decode().splitlines()
        except TimeoutError:
            if machine.poll() is not None or time.monotonic() > deadline:
                output = console.read_text(errors="replace")
                raise RuntimeError(f"the container did not boot:\n{output}") from None
        else:
            said |= {name: value for name, _, value in (line.partition("=") for line in lines)}
    return int(said["X_NSPAWN_LEADER_PID"])


def _power_off(machine: subprocess.Popen[bytes]) -> None:
    machine.send_signal(signal.SIGTERM)  # which systemd-nspawn turns into an orderly shutdown
    try:
        machine.wait(STOP_LIMIT_S)
    finally:
        machine.kill()
        machine.wait()
