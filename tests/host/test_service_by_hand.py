"""A service beside a daemon that was started by hand, and beside settings that are not allowed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from tests.host.service import CONFIG, UNITS, Service, service_of_a_user
from tests.lmstudio.completion import Answer

pytestmark = pytest.mark.timeout(90)

HOT = "DEVSYNTH_LLM_TEMPERATURE=hot"
DROP_IN = UNITS / f"{SYSTEMD_SERVICE}.d" / "hot.conf"
END_OF = "tail --sleep-interval=0.05 --follow /dev/null --pid"
"""Waits until the process whose number follows has ended."""


@pytest.fixture(scope="module")
def module_service(wheel: Path) -> Iterator[Service]:
    with service_of_a_user(wheel) as service:
        service.install()
        yield service


@pytest.fixture
def service(module_service: Service) -> Service:
    """Return the service; it runs, with settings that are allowed."""
    pid = "pid=$(cat $XDG_RUNTIME_DIR/devsynth/devsynthd.sock.lock)"
    end = f"{pid}; kill $pid; {END_OF} $pid"
    module_service.run("sh", "-c", f"cd; rm -f {CONFIG} {DROP_IN}; {end} 2>&1")
    module_service.typed("devsynthctl service restart")
    return module_service


def refused(service: Service, line: str) -> str:
    """Return what *line* complains of, which must fail with status 1."""
    done = service.run("bash", "-c", f"cd; {line}", limit_s=60)
    assert done.returncode == 1, (done.stdout, done.stderr)
    return done.stderr


def start_by_hand(service: Service) -> int:
    """Stop the service, start a daemon by hand, and return its pid once it answers."""
    service.typed("devsynthctl service stop")
    service.typed("nohup devsynthd >by-hand.log 2>&1 & until devsynthctl ping; do :; done")
    pid = service.ping()
    assert pid != service.pid
    return pid


def wait_for_the_end(service: Service, pid: int) -> None:
    service.typed(f"{END_OF} {pid}")


@pytest.mark.parametrize("verb", ["start", "restart", "install"])
def test_a_daemon_that_was_started_by_hand_is_left_alone(service: Service, verb: str) -> None:
    pid = start_by_hand(service)

    said = refused(service, f"devsynthctl service {verb}")

    assert f"(pid {pid}); nothing was changed" in said
    assert service.ping() == pid
    found = json.loads(service.told("devsynthctl", "--json", "service", "stop"))
    assert f"still runs (pid {pid})" in found["error"]
    # What is said to do is enough, though the one is still ending when the other is to start.
    command = re.search(r"hint: end it: (devsynthctl .*)", said)
    assert command
    service.typed(command[1].replace("then: ", ""))
    assert service.ping() == service.pid


@pytest.mark.parametrize("verb", ["start", "restart", "install"])
def test_a_daemon_that_was_cut_off_is_named(service: Service, verb: str) -> None:
    pid = start_by_hand(service)
    service.run("systemctl", "--user", "start", SYSTEMD_SOCKET)  # it takes the path

    said = refused(service, f"devsynthctl service {verb}")

    assert f"(pid {pid}), where no client reaches it any more" in said
    assert f"hint: end it: kill {pid}; then: devsynthctl service {verb}" in said
    status = service.run("devsynthctl", "--json", "service", "status").stdout
    assert f"(pid {pid}); to end it: kill {pid}" in json.loads(status)["error"]
    service.typed(f"kill {pid}")
    wait_for_the_end(service, pid)
    service.typed(f"devsynthctl service {verb}")
    assert service.ping() == service.pid


def test_one_that_still_answers_somebody_is_waited_for(service: Service) -> None:
    pid = start_by_hand(service)
    service.studio.next_answer(Answer(pause_s=1.0))
    with service.start("devsynthctl", "generate", "Hello") as generating:
        assert generating.stdin
        generating.stdin.close()  # it would read on
        generating.stdin = None
        service.typed("until devsynthctl ps | grep -q generate; do :; done")
        service.typed("devsynthctl shutdown")
        assert service.run("ps", "-p", str(pid)).returncode == 0  # it drains

        service.typed("devsynthctl service start", limit_s=60)

        assert service.ping() == service.pid
        assert generating.communicate(timeout=30)[0] == "You said: Hello\n"


def test_a_bad_variable_of_a_drop_in_is_told_wherever_it_counts(service: Service) -> None:
    before = service.pid
    service.write(DROP_IN, f"[Service]\nEnvironment={HOT}\n")  # and no daemon-reload

    said = refused(service, "devsynthctl service restart")
    assert "nothing was changed" in said
    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed" in said
    assert service.ping() == before

    service.typed("devsynthctl service stop")
    said = refused(service, "devsynthctl service start")
    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed" in said
    assert "systemctl --user edit devsynthd.service" in said
    checks = examined(service)
    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot'" in checks["service"]["message"]
    assert checks["service"]["remedy"].startswith("systemctl --user edit")


def test_a_variable_of_a_drop_in_that_is_none_is_told(service: Service) -> None:
    service.write(DROP_IN, "[Service]\nEnvironment=DEVSYNTH_LLM_TEMPERATUR=1\n")
    service.typed("devsynthctl service restart")
    done = service.run("devsynthctl", "doctor", "--no-generate")
    assert "in the service's unit, the variable DEVSYNTH_LLM_TEMPERATUR is ignored" in done.stdout


def test_a_bad_file_ends_no_daemon(service: Service) -> None:
    before = service.pid
    service.write(CONFIG, "[llm]\ntemperature = 'hot'\n")

    said = refused(service, "devsynthctl service restart")

    assert "nothing was changed" in said
    assert "config.toml, line 2: " in said
    assert "devsynthctl config check" in said
    assert service.ping() == before


def test_a_bad_file_that_keeps_it_down_stands_first(service: Service) -> None:
    service.write(CONFIG, "[llm]\ntemperature = 'hot'\n")
    service.run("systemctl", "--user", "restart", SYSTEMD_SERVICE)

    checks = examined(service)

    assert next(iter(checks)) == "config"
    assert checks["config"]["state"] == "failed"
    assert checks["daemon"]["message"] == "not checked: the config file has to be mended first"
    assert "config.toml, line 2" in checks["service"]["message"]


def examined(service: Service) -> dict[str, dict[str, str]]:
    """Return what doctor has found, by the names of its checks; one has failed.

    A daemon that systemd starts again and again is given up after a second, not after ten.
    """
    command = ("devsynthctl", "--timeout", "1", "doctor", "--no-generate", "--json")
    done = service.run(*command, limit_s=60)
    assert done.returncode == 1, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)["checks"]}
