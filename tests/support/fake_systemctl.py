"""A machine whose ``systemctl`` says what stands in files, and writes down what it is told."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG

# Answers from files in its folder; one that does not exist is a failure, said on stderr.
SYSTEMCTL = """\
#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/calls"
case "$*" in
  "--user show-environment") answer=environment ;;
  "--user show devsynthd.service"*) answer=service ;;
  "--user show devsynthd.socket"*) answer=socket ;;
  "show-user"*) answer=linger ;;
  *) answer=$(basename "$0")-does ;;
esac
cat "$here/$answer" 2>/dev/null && exit
cat "$here/complaint" >&2
exit 1
"""
DOWN = "LoadState={load}\nActiveState=inactive\nUnitFileState=\nFragmentPath=\n"
UP = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"


@dataclass
class Machine:
    """One whose ``systemctl`` says what stands in files."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        return self.home / "bin"

    @property
    def socket(self) -> Path:
        return self.home / "run" / "devsynth" / "devsynthd.sock"

    @property
    def units(self) -> Path:
        return self.home / ".config" / "systemd" / "user"

    def says(self, **answers: str) -> None:
        for name, text in answers.items():
            (self.programs / name.replace("_", "-")).write_text(text)

    def calls(self) -> list[str]:
        path = self.programs / "calls"
        told = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [each for each in told if " show" not in each and not each.startswith("systemd-run")]

    def run(self, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "devsynthctl", "service", *args],
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )


def make_machine(home: Path) -> Machine:
    """Return one where all is well and nothing installed; *home* is the user's, and empty."""
    machine = Machine(home)
    machine.programs.mkdir()
    (home / "run" / "devsynth").mkdir(parents=True, mode=0o700)
    for name in ("systemctl", "systemd-run", "loginctl"):
        program = machine.programs / name
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
    machine.environ = {
        "PATH": f"{machine.programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "LC_ALL": "C.UTF-8",
    }
    machine.says(
        environment=f"HOME={home}\nXDG_RUNTIME_DIR={home / 'run'}\n",
        service=DOWN.format(load="not-found"),
        socket=DOWN.format(load="not-found"),
        linger="yes\n",
        systemctl_does="",
        systemd_run_does="",
        loginctl_does="",
        complaint="",
    )
    return machine


def running(machine: Machine, path: Path | None = None) -> FakeDaemon:
    """Return a daemon that answers, and that systemd says it has started; null: as usual."""
    path = path or machine.socket
    machine.says(service=UP, socket=f"{UP}Listen={path} (Stream)\n")
    return FakeDaemon(path, lambda daemon: daemon.serve({"ping": PONG}))
