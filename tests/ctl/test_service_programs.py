"""The command of a service is one that stays where it is, and that runs outside of this shell."""

import os
import sys
from pathlib import Path

import pytest

from devsynthctl.service.errors import ServiceError
from devsynthctl.service.programs import Programs, stable_name
from devsynthctl.service.runner import Runner

VENV = Path(sys.executable).parent


def programs(interpreter: str = sys.executable, **environ: str) -> Programs:
    return Programs(Runner({"PATH": os.environ["PATH"]}), environ, interpreter)


def test_the_script_beside_the_interpreter_is_taken() -> None:
    assert programs().command("devsynthd") == (str(VENV / "devsynthd"),)
    assert programs().command("devsynthctl") == (str(VENV / "devsynthctl"),)


def test_a_stable_link_to_it_is_preferred(tmp_path: Path) -> None:
    folder = tmp_path / ".local" / "bin"
    folder.mkdir(parents=True)
    (folder / "devsynthd").symlink_to(VENV / "devsynthd")

    assert programs(HOME=str(tmp_path)).command("devsynthd") == (str(folder / "devsynthd"),)
    assert programs(PATH=f"/nowhere:{folder}").command("devsynthd") == (str(folder / "devsynthd"),)


def test_a_link_to_another_installation_is_not(tmp_path: Path) -> None:
    (tmp_path / "devsynthd").symlink_to(sys.executable)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "devsynthd").write_text("not a link")
    script = VENV / "devsynthd"

    assert stable_name(script, [tmp_path, tmp_path / "sub"]) == script


def test_without_a_script_the_module_is_run(tmp_path: Path) -> None:
    """As from a checkout: the package is found, but not installed."""
    interpreter = tmp_path / "python"
    interpreter.symlink_to(sys.executable)
    runner = Runner({"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)})

    found = Programs(runner, {}, str(interpreter), "devsynth-not-installed").command("devsynthd")

    assert found == (str(interpreter), "-P", "-m", "devsynthd")


def test_a_command_that_does_not_run_is_refused_with_its_reason(tmp_path: Path) -> None:
    script = tmp_path / "devsynthd"
    script.write_text("#!/bin/sh\necho 'no module named zmq' >&2; exit 1\n")
    script.chmod(0o755)

    with pytest.raises(ServiceError, match=r"could not run .*devsynthd`: no module named zmq"):
        programs(str(tmp_path / "python")).command("devsynthd")


def test_a_command_that_hangs_is_given_up() -> None:
    with pytest.raises(ServiceError, match="`sleep 60` has not ended in 0 s"):
        Runner({"PATH": os.environ["PATH"]}).run(["sleep", "60"], 0.01)


def test_a_command_that_is_not_there_is_an_outcome() -> None:
    done = Runner({"PATH": "/nonexistent"}).run(["systemctl"])
    assert (done.status, done.reason) == (127, "systemctl: No such file or directory")
