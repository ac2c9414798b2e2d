"""Boots this machine's own systemd in a container, over a copy of its files that is thrown away.

The files are those of ``/``, with a layer in memory that takes every write. The mounts are made
in a namespace of their own: they go with the last process in it, however that ends.
"""

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.support.needs import need, need_root

T = TypeVar("T")

CLONE_NEWNET = 0x40000000  # linux/sched.h
BOOT_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
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

# An empty machine-id is a new one at every boot, without the questions of a first boot. A journal
# on disk is split by user, so that each may read its own. In a control group of its own no other
# container's processes are among those of its units.
BOOT = """
folder=$1 unit=$2; shift 2
for tree in $(awk '$4 ~ /^rw/ && ($3 == "cgroup2" || /name=systemd/) { print $2 }' \
    /proc/mounts); do
  mkdir "$tree/${folder##*/}"
  echo $$ >"$tree/${folder##*/}/cgroup.procs"
done
mount -t tmpfs -o mode=0755 tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
mount -t overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" overlay "$folder/root"
: >"$folder/root/etc/machine-id"
printf %s "$unit" >"$folder/root/etc/systemd/system/tests.target"
mkdir -p "$folder/root/var/log/journal"
exec systemd-nspawn --directory="$folder/root" --machine="ds-box-$$" --register=no \
  --keep-unit --private-network --console=pipe --notify-ready=yes "$@" \
  --boot systemd.unit=tests.target
"""


@dataclass(frozen=True)
class User:
    """An ordinary user of the container; *programs* is a folder that comes first on its PATH."""

    name: str
    uid: int
    programs: str = ""

    @property
    def home(self) -> Path:
        """The home folder, as the container sees it."""
        return Path("/home", self.name)

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that a login would set."""
        return {
            "PATH": f"{self.programs}:{PATH}" if self.programs else PATH,
            "HOME": str(self.home),
            "USER": self.name,
            "LOGNAME": self.name,
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": f"/run/user/{self.uid}",
        }


class Container:
    """A booted system. *leader* is the pid, outside, of its first process."""

    def __init__(self, leader: int) -> None:
        self._leader = leader

    def run(
        self, command: Sequence[str], limit_s: float = 15.0, *, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as root in ``/``, with the address of root's own service manager."""
        environ = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
        environ |= {"XDG_RUNTIME_DIR": "/run/user/0"}
        return self._run([*self._enter(), *command], environ, limit_s, stdin)

    def run_as(
        self, user: User, command: Sequence[str], limit_s: float = 15.0, *, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as *user*, with the variables that a login would set."""
        return self._run([*self._enter(user), *command], user.environ, limit_s, stdin)

    @contextmanager
    def start_as(self, user: User, command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
        """Start *command* as *user*, its streams in pipes; it has ended after the block."""
        with subprocess.Popen(
            [*self._enter(user), *command],
            env=dict(user.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def add_user(self, name: str) -> User:
        """Add an ordinary user, with a home folder and without a login."""
        self.run(["useradd", "--create-home", "--user-group", name]).check_returncode()
        return User(name, self._uid(name))

    def start_user_manager(self, user: str = "root") -> None:
        """Start the service manager of *user*, as a login does; it stays."""
        self.run(["systemctl", "start", f"user@{self._uid(user)}.service"]).check_returncode()

    def in_its_network(self, function: Callable[[], T]) -> T:
        """Return what *function* returns; the sockets that it makes are in the container's network.

        They stay there, also when another thread of this process uses them.
        """

        def call() -> T:
            with Path("/proc", str(self._leader), "ns/net").open() as network:
                # os.setns came with Python 3.12. It moves this thread only.
                if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return function()

        with ThreadPoolExecutor(1) as apart:
            return apart.submit(call).result()

    def seen_from_here(self, path: Path) -> Path:
        """Return where this process finds the container's *path*, which has no symlinks in it."""
        return Path("/proc", str(self._leader), "root", path.relative_to("/"))

    def let_others_reach(self, path: Path) -> None:
        """Open the folders above *path* to every user, in the container only."""
        above = [str(each) for each in path.parents]
        self.run(["chmod", "o+x", *above]).check_returncode()

    def _run(
        self, command: Sequence[str], environ: Mapping[str, str], limit_s: float, stdin: str | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=environ,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
        )

    def _uid(self, user: str) -> int:
        return int(self.run(["id", "-u", user]).stdout)

    def _enter(self, user: User | None = None) -> list[str]:
        """Return the start of a command that runs in there, and dies with who waits for it."""
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        become = [f"--reuid={user.uid}", f"--regid={user.uid}", "--clear-groups"] if user else []
        return [*enter, "setpriv", "--pdeathsig=KILL", *become]


@contextmanager
def booted_container(*folders: Path, at: Mapping[Path, Path] | None = None) -> Iterator[Container]:
    """Boot, hand out, and power off a container that sees *folders* read-only at their own paths.

    *at* has folders that it sees elsewhere: theirs here, and theirs there. Folders of the root file
    system are there anyway, but for those under ``/tmp`` and ``/run``.
    Takes about three seconds to boot; has a network of its own, with nothing but loopback.
    """
    need_root()
    for command in ("systemd-nspawn", "unshare", "nsenter"):
        need(command, PACKAGE)
    folder = Path(tempfile.mkdtemp(prefix="ds-box-"))
    console = folder.with_suffix(".log")
    try:
        with _notify_socket(folder.with_suffix(".sock")) as notify:
            places = {**{path: path for path in folders}, **(at or {})}
            machine = _start(folder, places, notify, console)
            try:
                yield Container(_leader_when_ready(notify, machine, console))
            finally:
                _power_off(machine)
    finally:
        console.unlink(missing_ok=True)
        folder.rmdir()
        _remove_control_groups(folder.name)


@contextmanager
def _notify_socket(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        try:
            yield notify
        finally:
            path.unlink()


def _start(
    folder: Path, places: Mapping[Path, Path], notify: socket.socket, console: Path
) -> subprocess.Popen[bytes]:
    binds = [f"--bind-ro={here}:{there}" for here, there in places.items()]
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


def _remove_control_groups(name: str) -> None:
    """Remove what systemd has left of the container's groups: nothing runs in them any more."""
    for tree in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()):
        for group, _, _ in os.walk(tree / name, topdown=False):
            Path(group).rmdir()
