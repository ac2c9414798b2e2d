"""What befalls the service in the middle of its work, and what its clients notice of that.

The tests share a container, and each leaves the service running.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.host.service_names import SYSTEMD_SERVICE
from tests.host import over_a_restart
from tests.host.service import CONFIG, UNITS, Service, service_of_a_user
from tests.lmstudio.completion import Answer
from tests.lmstudio.paths import CHAT
from tests.support.upstream_exchange import Gate

pytestmark = pytest.mark.timeout(150)

AT_ONCE = 50
KILLS = 7
INVALID = "[llm]\ntemperature = 'hot'\n"


@pytest.fixture(scope="module")
def service(wheel: Path) -> Iterator[Service]:
    with service_of_a_user(wheel) as service:
        service.install()
        yield service


@pytest.fixture
def quick(service: Service) -> Iterator[None]:
    """Have the service started again at once after a crash, not after the 5 s of its unit."""
    service.drop_in("quick", "RestartSec=100ms")
    yield
    service.told("rm", str(service.user.home / UNITS / f"{SYSTEMD_SERVICE}.d/quick.conf"))
    service.told("systemctl", "--user", "daemon-reload")


def restart(service: Service) -> None:
    service.told("systemctl", "--user", "restart", SYSTEMD_SERVICE)


def test_a_changed_setting_is_in_force_after_a_reload(service: Service) -> None:
    service.write(CONFIG, "[llm]\ntemperature = 0.25\n")

    service.told("systemctl", "--user", "reload", SYSTEMD_SERVICE)

    service.told("devsynthctl", "generate", "How warm is it?")
    assert service.studio.requests(path=CHAT)[-1].body["temperature"] == 0.25


def test_an_invalid_file_fails_the_reload_and_the_daemon_stays(service: Service) -> None:
    before = service.pid
    service.write(CONFIG, INVALID)

    done = service.run("systemctl", "--user", "reload", SYSTEMD_SERVICE)

    assert done.returncode != 0
    assert service.ping() == before
    assert service.states() == ("active", "active")
    reason = [line["MESSAGE"] for line in service.journal("_COMM=devsynthctl")]
    assert "temperature" in "".join(reason)
    service.write(CONFIG, "")
    service.told("systemctl", "--user", "reload", SYSTEMD_SERVICE)


def test_a_killed_daemon_is_started_again_and_answers(service: Service) -> None:
    before = service.pid
    service.told("kill", "-KILL", str(before))

    while (after := service.ping()) == before:  # let go on to die, it may answer once more
        pass

    assert service.pid == after
    assert after == service.pid


@pytest.mark.usefixtures("quick")
def test_a_daemon_that_is_killed_again_and_again_is_not_given_up(service: Service) -> None:
    pids = set()
    for _ in range(KILLS):
        pids.add(service.ping())
        service.told("kill", "-KILL", str(service.pid))

    assert service.ping() == service.pid
    assert len(pids) == KILLS
    assert service.states() == ("active", "active")


@pytest.mark.parametrize("command", ["start", "restart"])
def test_a_socket_whose_file_was_removed_is_made_anew(service: Service, command: str) -> None:
    before = service.ping()
    service.socket.unlink()

    service.told("devsynthctl", "service", command)

    assert service.ping() == service.pid != before
    assert service.states() == ("active", "active")


@pytest.mark.usefixtures("quick")
def test_a_hung_daemon_is_ended_by_the_watchdog_and_started_again(service: Service) -> None:
    service.drop_in("watchdog", "WatchdogSec=1")
    restart(service)
    before = service.pid
    service.told("kill", "-STOP", str(before))

    while (after := service.ping()) == before:  # let go on to die, it may answer once more
        pass

    assert service.states() == ("active", "active")
    assert service.pid == after
    assert any("Watchdog timeout" in line["MESSAGE"] for line in service.journal())


def test_a_daemon_that_does_not_hang_is_left_alone_by_the_watchdog(service: Service) -> None:
    service.drop_in("watchdog", "WatchdogSec=1")
    restart(service)
    before = service.pid
    # Nobody else talks to it for three times that long.
    service.run("devsynthctl", "--timeout", "3", "events", "log")

    assert service.ping() == before


@pytest.mark.parametrize(
    "end", ["devsynthctl shutdown", f"systemctl --user stop {SYSTEMD_SERVICE}"]
)
def test_the_first_request_starts_the_daemon_and_is_answered(service: Service, end: str) -> None:
    service.typed(end)
    service.told("systemctl", "--user", "stop", SYSTEMD_SERVICE)  # waits until it has ended
    assert service.states() == ("inactive", "active")

    assert service.told("devsynthctl", "generate", "Awake?") == "You said: Awake?\n"

    assert service.states() == ("active", "active")


def test_fifty_lists_at_a_time_over_a_restart_have_each_its_result(service: Service) -> None:
    before = service.pid
    script = Path(over_a_restart.__file__).read_text()
    with service.start("python", "-c", script, "list", str(AT_ONCE)) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "begun\n"
        restart(service)
        said, complaints = asking.communicate(timeout=60)
    assert asking.returncode == 0, complaints

    outcomes = json.loads(said)
    assert len(outcomes) >= 2 * AT_ONCE
    assert set(outcomes) == {"ok"}
    assert service.pid != before


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("how", "code"), [("restart", "cancelled"), ("kill", "connection_lost")])
def test_of_fifty_generations_none_runs_twice_and_none_is_left_without_an_answer(
    service: Service, how: str, code: str
) -> None:
    service.told("devsynthctl", "config", "set", "daemon_shutdown_grace", "1")
    earlier = len(service.studio.requests(path=CHAT))
    service.studio.next_answer(Answer(gate=Gate()))  # still under way when the grace ends
    script = Path(over_a_restart.__file__).read_text()
    with service.start("python", "-c", script, "generate", str(AT_ONCE)) as asking:
        service.studio.wait_request(earlier + 4, path=CHAT)
        if how == "restart":
            restart(service)
        else:
            service.told("kill", "-KILL", str(service.pid))
        said, complaints = asking.communicate(timeout=60)
    assert asking.returncode == 0, complaints

    outcomes = dict(json.loads(said.removeprefix("begun\n")))
    asked = service.studio.requests(path=CHAT)[earlier:]
    prompts = [exchange.body["messages"][-1]["content"] for exchange in asked]
    assert set(prompts) <= set(outcomes)
    assert len(prompts) == len(set(prompts))
    failed = [outcome for prompt, outcome in outcomes.items() if outcome != f"You said: {prompt}"]
    assert len(outcomes) == AT_ONCE
    assert set(failed) == {code}
    service.ping()
    if how == "restart":  # what waits for its turn goes to the next daemon
        assert len(failed) == 1


def test_a_daemon_with_an_invalid_configuration_is_not_started_again(service: Service) -> None:
    service.write(CONFIG, INVALID)

    done = service.run("systemctl", "--user", "restart", SYSTEMD_SERVICE)

    assert done.returncode != 0
    told = service.show("ActiveState", "Result", "ExecMainStatus", "NRestarts", "StatusText")
    assert told | {"StatusText": ""} == {
        "ActiveState": "failed",
        "Result": "exit-code",
        "ExecMainStatus": "78",
        "NRestarts": "0",
        "StatusText": "",
    }
    assert "temperature" in told["StatusText"]
    status = service.run("devsynthctl", "service", "status")
    assert status.returncode == 3
    assert f"{CONFIG}, line 2: [llm] temperature = 'hot' is not allowed" in status.stdout


def test_the_first_request_after_the_configuration_is_mended_is_answered(service: Service) -> None:
    # It waits, and connects again each time that the daemon has failed to start.
    assert service.run("devsynthctl", "--timeout", "2", "models").returncode != 0

    service.write(CONFIG, "")

    assert service.ping() == service.pid
    assert service.states() == ("active", "active")


def test_a_daemon_started_by_hand_beside_it_names_the_service(service: Service) -> None:
    service.told("systemctl", "--user", "stop", SYSTEMD_SERVICE)

    done = service.run("devsynthd")

    assert done.returncode == 1
    assert f"systemctl --user start {SYSTEMD_SERVICE}" in done.stderr
    assert service.ping() == service.pid
