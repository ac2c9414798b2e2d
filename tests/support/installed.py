"""The wheel of this checkout, installed for an ordinary user of a container without a network."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.container import Container, User, booted_container
from tests.support.needs import need_package

CHECKOUT = Path(__file__).parents[2]
BUILD_LIMIT_S = 60.0
INSTALL_LIMIT_S = 60.0
PACKAGES = Path("/opt/packages")


def build_wheel(folder: Path) -> Path:
    """Build the wheel into *folder*, which every user may read then, and return it."""
    need_package("hatchling", "pip install hatchling")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=BUILD_LIMIT_S,
    )
    assert done.returncode == 0, done.stdout
    folder.chmod(0o755)
    (wheel,) = folder.glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """A container in which *user* has devsynthd, as a login would find it; it does not run yet."""

    box: Container
    user: User

    @property
    def home(self) -> Path:
        """The user's home folder, as this process sees it."""
        return self.box.seen_from_here(self.user.home)

    @property
    def socket(self) -> Path:
        """The daemon's socket file, as this process sees it."""
        folder = Path(self.user.environ["XDG_RUNTIME_DIR"])
        return self.box.seen_from_here(folder / "devsynth" / "devsynthd.sock")

    def run(
        self, *command: str, limit_s: float = 30.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* as the user."""
        return self.box.run_as(self.user, command, limit_s, stdin=stdin)

    def start(self, *command: str) -> AbstractContextManager["subprocess.Popen[str]"]:
        """Start *command* as the user; it has ended after the block."""
        return self.box.start_as(self.user, command)

    def typed(self, line: str, limit_s: float = 30.0) -> str:
        """Return what a line prints that the user types into a shell; it must succeed."""
        return self.told("bash", "-c", f"cd; {line}", limit_s=limit_s)

    def told(self, *command: str, limit_s: float = 30.0, stdin: str | None = None) -> str:
        """Return what *command* prints; it must succeed."""
        done = self.run(*command, limit_s=limit_s, stdin=stdin)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def write(self, path: Path | str, content: str) -> None:
        """Write a file of the user; *path* is taken from the home folder."""
        target = str(self.user.home / path)
        self.told("sh", "-ec", 'mkdir -p "$(dirname "$1")"; cat >"$1"', "sh", target, stdin=content)


@contextmanager
def installed_for_user(wheel: Path, *folders: Path, name: str = "tester") -> Iterator[Installed]:
    """Boot a container that sees *folders* too, and install *wheel* for a user *name*.

    The user has a virtual environment in ``~/devsynth`` whose programs are on the PATH, and a
    running service manager. What the wheel depends on is this interpreter's own, seen read-only,
    and not below ``/tmp``: the service has one of its own.
    """
    python = Path(os.path.realpath(sys.executable))
    seen = (Path(sys.base_prefix), wheel.parent, *folders)
    # Where it is the system's own, the container has it anyway, and must be able to write there.
    bound = [each for each in seen if each not in (Path("/usr"), Path("/usr/local"))]
    with booted_container(*bound, at={Path(sysconfig.get_path("purelib")): PACKAGES}) as box:
        user = box.add_user(name)
        for each in seen:
            box.let_others_reach(each)
        box.start_user_manager(user.name)
        venv = user.home / "devsynth"
        installed = Installed(box, replace(user, programs=f"{venv}/bin"))
        installed.told(str(python), "-m", "venv", "--without-pip", str(venv))
        link = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}), "dependencies.pth")
        installed.write(link, f"{PACKAGES}\n")
        # pip would find the checkout itself among the dependencies, and take that for installed.
        install = ("pip", "install", "--no-index", "--no-deps", "--ignore-installed", "--quiet")
        installed.told(f"{venv}/bin/python", "-m", *install, str(wheel), limit_s=INSTALL_LIMIT_S)
        yield installed
