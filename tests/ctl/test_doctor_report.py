"""``doctor --report``: all that helps, and nothing that is nobody's business."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl.doctor.collect import surroundings
from devsynthctl.doctor.examination import PROMPT, WORD
from devsynthctl.doctor.facts import Facts
from devsynthctl.service.reports import ServiceStatus
from devsynthd.host.log_file import log_file
from devsynthd.settings.schema import BY_KEY
from tests.ctl.doctoring import doctor
from tests.lmstudio import Answer, LMStudio, faults, paths
from tests.support.daemon import RunningDaemon, start_daemon, toml_of

QWEN = "qwen/qwen3-4b"
KEY = "planted-key-in-the-file"
OTHER_KEY = "planted-key-in-the-shell"
PASSWORD = "planted-password"  # noqa: S105 - found nowhere else
SECRETS = (KEY, OTHER_KEY, PASSWORD)


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1", [QWEN]) as studio:
        studio.require_token(KEY)
        studio.load(QWEN)
        yield studio


@pytest.fixture
def daemon(short_dir: Path, studio: LMStudio) -> Iterator[RunningDaemon]:
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", llm_api_key=KEY) as daemon:
        yield daemon


def planted(home: Path) -> dict[str, str]:
    """Return variables with a secret wherever one could be."""
    return {
        "HOME": str(home),
        "DEVSYNTH_LLM_API_KEY": OTHER_KEY,
        "DEVSYNTH_LLM_API_BASE": f"http://me:{PASSWORD}@gpu.example/v1",
        "DEVSYNTH_NOTE": f"Authorization: Bearer {PASSWORD}",
        "HTTPS_PROXY": f"http://me:{PASSWORD}@proxy.example:8080",
    }


def test_it_has_what_helps_and_no_secrets(
    daemon: RunningDaemon, studio: LMStudio, short_dir: Path
) -> None:
    said = f"Unauthorized: Bearer {PASSWORD}, key {KEY}, http://me:{PASSWORD}@gpu.example/"
    studio.next_answer(Answer(texts=("the-answer-itself",)))
    studio.next_fault(lambda good: good, path=paths.CHAT)
    studio.next_fault(faults.plain_error(said, 500), path=paths.CHAT)
    file = short_dir / "report.md"
    process = doctor(daemon.path, "--report", str(file), environ=planted(short_dir))
    text = file.read_text(encoding="utf-8")

    assert file.stat().st_mode & 0o777 == 0o600
    assert f"the report is in {file}: look through it" in process.stderr
    shown = text + process.stdout + process.stderr
    assert [secret for secret in SECRETS if secret in shown] == []
    assert "the-answer-itself" not in shown
    assert PROMPT not in shown
    assert WORD not in shown
    assert str(short_dir) not in text
    for part in (
        *("## Versions", "libzmq: ", "Python: ", "## Checks", "ok      socket", "failed  context"),
        *("## Status", "config.path = ~/config.toml", "source.reachable = true"),
        *("## Variables of this shell", "DEVSYNTH_LLM_API_BASE is set"),
        *("## Models", QWEN, "## Service", "## Log"),
    ):
        assert part in text, part
    assert all(f"\n    {key} = " in text for key in BY_KEY)
    assert "llm_api_key = ******** " in text


def test_the_names_of_user_and_machine_are_left_out(daemon: RunningDaemon, short_dir: Path) -> None:
    environ = {"XDG_DATA_HOME": f"/srv/{getpass.getuser()}/{socket.gethostname()}"}
    text = doctor(
        daemon.path, "--no-generate", "--report", "-", environ={**environ, "HOME": str(short_dir)}
    ).stdout
    names = {getpass.getuser(), socket.gethostname()} - {"root", "localhost"}

    assert "XDG_DATA_HOME=/srv/" in text
    assert [name for name in names if re.search(rf"(?<![\w-]){name}(?![\w-])", text)] == []


def test_variables_are_told_only_where_they_can_be_no_secret(short_dir: Path) -> None:
    secret = "leaked"  # noqa: S105 - found nowhere else
    environ = {
        "HOME": str(short_dir),
        "DEVSYNTH_CONFIG": str(short_dir / "none.toml"),
        "DEVSYNTH_LLM_MAX_TOKENS": "77",
        "DEVSYNTH_LLM_API_KEY": f"sk-{secret}",
        "DEVSYNTH_LLM_MODE": secret,
        "DEVSYNTH_OPENAI_API_KEY": f"({secret})",
        "DEVSYNTH_DB_PASSWORD": f"correct {secret} staple",
        "DEVSYNTH_GITHUB_PAT": f"ghp_{secret}",
        "DEVSYNTH_AUTH": secret,
        "DEVSYNTH_X_API_KEY": f"a;{secret}",
        "LC_PASSWORD": secret,
        "HTTP_PROXY": f"carl:{secret}@proxy.example:3128",
        "https_proxy": f"http://carl:{secret}/x@proxy.example:3128",
    }
    process = doctor(short_dir / "d.sock", "--no-generate", "--report", "-", environ=environ)

    assert secret not in process.stdout + process.stderr
    for line in (
        *("DEVSYNTH_LLM_MAX_TOKENS=77", "DEVSYNTH_CONFIG=~/none.toml", "DEVSYNTH_AUTH is set"),
        *("DEVSYNTH_LLM_API_KEY is set", "HTTP_PROXY=proxy.example:3128"),
    ):
        assert f"\n    {line}\n" in process.stdout, line


def test_on_standard_output_it_is_the_report_alone(daemon: RunningDaemon) -> None:
    process = doctor(daemon.path, "--no-generate", "--report", "-")

    assert process.stdout.startswith("# devsynth, ")
    assert "\nok\tsocket" not in process.stdout
    assert "not checked" in process.stderr


def test_json_and_a_report_go_together_but_for_standard_output(
    daemon: RunningDaemon, short_dir: Path
) -> None:
    both = doctor(daemon.path, "--no-generate", "--json", "--report", str(short_dir / "r.md"))
    clash = doctor(daemon.path, "--json", "--report", "-")

    assert json.loads(both.stdout)["ok"] is True
    assert both.stderr == ""
    assert (short_dir / "r.md").exists()
    assert clash.returncode == 2
    assert clash.stdout == ""


def test_a_file_that_is_there_is_kept(daemon: RunningDaemon, short_dir: Path) -> None:
    file = short_dir / "mine.md"
    file.write_text("mine")
    process = doctor(daemon.path, "--report", str(file))

    assert process.returncode == 2
    assert f"{file} exists already" in process.stderr
    assert (process.stdout, file.read_text()) == ("", "mine")


def test_a_folder_that_is_not_there(daemon: RunningDaemon, short_dir: Path) -> None:
    process = doctor(daemon.path, "--report", str(short_dir / "none" / "r.md"))

    assert process.returncode == 1
    assert "cannot be written: No such file or directory" in process.stderr
    assert process.stdout == ""


def test_a_full_disk_leaves_no_half_of_it(daemon: RunningDaemon, short_dir: Path) -> None:
    """The first bytes are refused: RLIMIT_FSIZE stands for the disk."""
    file = short_dir / "r.md"
    limited = (
        "import resource, runpy, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "runpy.run_module('devsynthctl', run_name='__main__')\n"
    )
    root = ["--socket", str(daemon.path), "doctor", "--no-generate", "--report", str(file)]
    process = subprocess.run(
        [sys.executable, "-c", limited, *root],
        env=os.environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=20,
    )

    assert "cannot be written: File too large" in process.stderr
    assert process.returncode == 1
    assert not file.exists()


def test_without_a_daemon_it_has_the_settings_that_one_would_have(short_dir: Path) -> None:
    config = short_dir / "config.toml"
    config.write_text(toml_of({"llm_api_base": "http://127.0.0.1:9/v1", "llm_api_key": KEY}))
    text = doctor(
        short_dir / "d.sock",
        *("--report", "-"),
        environ={"DEVSYNTH_CONFIG": str(config), "HOME": str(short_dir)},
    ).stdout

    assert "no daemon answered; one started from this shell would have:" in text
    assert "llm_api_base = http://127.0.0.1:9/v1 (file)" in text
    assert KEY not in text


def test_the_file_of_the_log_without_what_is_for_debugging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where launchd looks after the daemon. What was cut off at the beginning is no line."""
    for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    usual = {"time": "T", "logger": "devsynthd.daemon"}
    events = [usual | {"level": "debug", "message": "prompt: planted"}]
    events += [usual | {"level": "info", "message": f"event {number}"} for number in range(300)]
    file = log_file()
    file.parent.mkdir(parents=True)
    file.write_text("cut off\n" + "".join(f"{json.dumps(event)}\n" for event in events))
    facts = Facts(service=ServiceStatus(manager="launchd", installed=True))

    log = surroundings(facts, os.environ).log

    assert log
    assert log == [f"T info event {number}" for number in range(100, 300)]
    file.unlink()
    assert surroundings(facts, os.environ).log is None


@pytest.mark.parametrize(
    "content",
    [
        f"[llm]\napi_base = 'http://me:{PASSWORD}@gpu.example/v1'\n",
        f"[llm]\napi_key = 'two words {PASSWORD}'\n",
        f"[llm]\napi_key = '{PASSWORD}\n",
        f"[llm]\napi_keey = '{PASSWORD}'\n",
        f"[llm]\nca_bundle = '/none'\napi_key = '{PASSWORD}'\n",
    ],
)
def test_a_file_with_mistakes_gives_away_nothing(short_dir: Path, content: str) -> None:
    config = short_dir / "config.toml"
    config.write_text(content)
    environ = {"DEVSYNTH_CONFIG": str(config), "HOME": str(short_dir)}
    report = doctor(short_dir / "d.sock", "--report", "-", environ=environ)
    shown = doctor(short_dir / "d.sock", environ=environ)

    assert "failed  config" in report.stdout
    assert "failed\tconfig" in shown.stdout
    assert PASSWORD not in report.stdout + report.stderr + shown.stdout + shown.stderr
