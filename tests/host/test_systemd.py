"""A real systemd boots in a container, with a service manager for its user, and goes again."""

import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.container import booted_container

pytestmark = pytest.mark.timeout(150)  # it boots in a few seconds, on a busy machine in more


def test_systemd_and_its_user_manager_run() -> None:
    with booted_container() as box:
        system = box.run(["systemctl", "is-system-running", "--wait"])
        box.start_user_manager()
        user = box.run(["systemctl", "--user", "is-system-running", "--wait"])
        unit = box.run(["systemd-run", "--user", "--wait", "--pipe", "echo", "hello"])

    assert system.stdout == "running\n"
    assert user.stdout == "running\n"
    assert unit.stdout == "hello\n"


def test_container_runs_the_interpreter_and_the_checkout(short_dir: Path) -> None:
    checkout = Path(__file__).parents[2]
    (short_dir / "note").write_text("hello")
    script = "import zmq, devsynthd, pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text())"

    with booted_container(checkout, short_dir) as box:
        done = box.run(
            ["env", f"PYTHONPATH={checkout}", sys.executable, "-c", script, f"{short_dir}/note"]
        )

    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_container_leaves_nothing_behind() -> None:
    before = left_behind()

    with booted_container():
        pass

    assert left_behind() == before


def left_behind() -> tuple[set[str], list[str]]:
    """Return the files of containers and this process's mounts."""
    files = {path.name for path in Path(tempfile.gettempdir()).glob("ds-box-*")}
    return files, Path("/proc/self/mounts").read_text().splitlines()
