"""``doctor`` with a daemon that runs: all is well, or one thing is not."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl.doctor.checks import CHECKS
from devsynthctl.doctor.examination import PROMPT, WORD
from devsynthd import __version__
from devsynthd.settings.schema import BY_KEY
from tests.ctl.conftest import Run
from tests.ctl.doctoring import doctor, examined
from tests.ctl.settings_replies import report, setting
from tests.ctl.test_command import serving
from tests.lmstudio import Answer, LMStudio, faults, paths
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import PONG, SOURCE, STATUS, model, models
from tests.support.terminal import shown_on_terminal
from tests.support.upstream_server import UpstreamServer

QWEN, GEMMA = "qwen/qwen3-4b", "google/gemma-3-4b"
EMBEDDER = "text-embedding-nomic-embed-text-v1.5"
RARELY_S = 3600.0
SERVER = {"dns", "tcp", "http", "api", "auth", "models"}
REMEMBERS = Answer(texts=("It was ", WORD, "."))


def answering(url: str, **results: object) -> Script:
    """Be a daemon whose server is at *url*, and that says *results* otherwise."""
    return serving(**answers_of(url, **results))


def answers_of(url: str, **results: object) -> dict[str, object]:
    """Return what a daemon whose server is at *url* says, by op, but for these *results*."""
    told = {key: setting(key) for key in BY_KEY} | {
        "llm_api_base": setting("llm_api_base", url, "file")
    }
    usual = {"ping": PONG, "status": STATUS, "config_get": report(*told.values())}
    return {"list": models(), **usual, **results}


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1", [QWEN, GEMMA]) as studio:
        yield studio


@pytest.fixture
def daemon(
    short_dir: Path, studio: LMStudio, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunningDaemon]:
    """Return a daemon that reads the file which this shell would read."""
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(short_dir / "config.toml"))
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=RARELY_S
    ) as daemon:
        daemon.client().list()
        yield daemon


def test_where_all_is_well_every_link_is_told(daemon: RunningDaemon, studio: LMStudio) -> None:
    studio.load(QWEN)
    studio.next_answer(Answer())
    studio.next_answer(REMEMBERS)

    result = examined(daemon.path)

    assert (result.status, result.is_ok) == (0, True)
    assert result.names("failed") + result.names("warn") == []
    assert result.names("skipped") == ["service"]
    assert list(result.checks) == [each.name for each in CHECKS if each.name != "engine"]
    assert result.checks["version"]["message"] == f"{__version__}, protocol 1"
    assert f"pid {os.getpid()}" in result.told("daemon")
    assert "generation v1" in result.told("api")
    assert f"2 models, 1 loaded; {QWEN} answers (auto)" in result.told("models")
    assert f"{QWEN} answered in" in result.told("generation")
    assert all(each["duration_s"] >= 0 for each in result.checks.values())
    chats = [each.body["messages"] for each in studio.requests(path=paths.CHAT)]
    assert chats[0][-1]["content"] == PROMPT
    assert [len(chat) for chat in chats] == [1, 3]


def test_piped_it_is_lines_of_tab_separated_text_and_a_sum_on_stderr(daemon: RunningDaemon) -> None:
    process = doctor(daemon.path, "--no-generate")
    rows = [line.split("\t") for line in process.stdout.splitlines()]

    assert rows[0] == ["state", "check", "message", "remedy", "seconds"]
    assert {len(row) for row in rows} == {5}
    assert rows[-1][:3] == ["skipped", "context", "not checked: --no-generate"]
    assert process.stderr == "devsynthctl: 10 ok, 1 to know of, 3 not checked\n"
    assert process.returncode == 0


def test_on_a_terminal_it_is_drawn_with_what_mends_it(daemon: RunningDaemon) -> None:
    command = [sys.executable, "-m", "devsynthctl", "--socket", str(daemon.path), "doctor"]
    environ = {**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1"}
    status, shown = shown_on_terminal([*command, "--no-generate"], environ)
    coloured = shown_on_terminal([*command, "--no-generate"], {**os.environ, "PYTHONUTF8": "1"})[1]

    assert status == 0
    assert re.search(r"^✓ daemon       devsynthd answers", shown, re.MULTILINE)
    assert re.search(r"^! models +2 models, none of them loaded", shown, re.MULTILINE)
    assert f"to mend it: devsynthctl load {QWEN}" in shown
    assert "10 ok, 1 to know of, 3 not checked" in shown
    assert "\x1b[" not in shown
    assert "\x1b[32m✓" in coloured


def test_a_terminal_without_the_marks_gets_words(daemon: RunningDaemon) -> None:
    command = [sys.executable, "-m", "devsynthctl", "--socket", str(daemon.path), "doctor"]
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    _, shown = shown_on_terminal([*command, "--no-generate"], environ)

    assert re.search(r"^ok +daemon", shown, re.MULTILINE)
    assert re.search(r"^warn +models", shown, re.MULTILINE)


def test_no_model_loaded_is_to_know_of(daemon: RunningDaemon) -> None:
    result = examined(daemon.path, "--no-generate")

    assert result.states["models"] == "warn"
    assert result.checks["models"]["remedy"] == f"devsynthctl load {QWEN}"
    assert result.is_ok


def test_no_models_at_all(short_dir: Path) -> None:
    with (
        LMStudio("v1", []) as studio,
        start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon,
    ):
        result = examined(daemon.path)

    assert result.states["models"] == "failed"
    assert "LM Studio has no models" in result.told("models")
    assert "lms get" in result.told("models")
    assert result.checks["generation"]["message"] == "not checked: no model"
    assert (result.status, result.is_ok) == (1, False)


def test_embedding_models_only(short_dir: Path) -> None:
    with (
        LMStudio("v1", [EMBEDDER]) as studio,
        start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon,
    ):
        result = examined(daemon.path)

    assert "1 model, but none that chats" in result.told("models")


def test_a_model_that_is_named_and_not_there(short_dir: Path, studio: LMStudio) -> None:
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", llm_model="gone/model"
    ) as daemon:
        result = examined(daemon.path)

    assert "gone/model is to answer, but is not among the server's 2 models" in result.told(
        "models"
    )
    assert "devsynthctl select" in result.told("models")


def test_nothing_selected(short_dir: Path, studio: LMStudio) -> None:
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", llm_auto_select_model=False
    ) as daemon:
        result = examined(daemon.path)

    assert "none answers" in result.told("models")
    assert "select --auto" in result.told("models")


def test_a_model_too_big(daemon: RunningDaemon, studio: LMStudio) -> None:
    studio.next_load_fails()
    result = examined(daemon.path)

    assert result.states["generation"] == "failed"
    assert "insufficient system resources" in result.told("generation")
    assert "devsynthctl select MODEL" in result.told("generation")
    assert result.checks["context"]["message"] == "not checked: no answer"


def test_a_model_that_takes_too_long(daemon: RunningDaemon, studio: LMStudio) -> None:
    studio.load(QWEN)
    studio.next_fault(faults.no_answer(), path=paths.CHAT)
    result = examined(daemon.path, timeout="0.3")

    assert "no complete answer within 0.3 s" in result.told("generation")
    assert "--timeout 600" in result.told("generation")


def test_an_answer_that_forgets_is_to_know_of(daemon: RunningDaemon, studio: LMStudio) -> None:
    studio.load(QWEN)
    result = examined(daemon.path)

    assert "did not use what was said before" in result.told("context")
    assert result.states["context"] == "warn"
    assert result.is_ok


def test_a_token_that_is_wanted_or_wrong(short_dir: Path, studio: LMStudio) -> None:
    studio.require_token("sk-lm-right:0123456789")
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon:
        none = examined(daemon.path)
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", llm_api_key="sk-lm-wrong:12345678"
    ) as daemon:
        wrong = examined(daemon.path)

    assert none.states["api"] == wrong.states["api"] == "ok"
    assert "wants an API key, and none is set -> devsynthctl config set" in none.told("auth")
    assert "does not accept the API key" in wrong.told("auth")
    assert none.checks["models"]["message"] == "not checked: the API key is not accepted"
    assert "sk-lm-wrong" not in str(wrong.checks)


def test_a_key_that_only_the_daemon_has(short_dir: Path, studio: LMStudio) -> None:
    """Nobody here knows it, so the daemon's word counts."""
    key = "sk-lm-right:0123456789"
    studio.require_token(key)
    studio.load(QWEN)
    environ = {"DEVSYNTH_LLM_API_KEY": key}
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", environ=environ) as daemon:
        right = examined(daemon.path)
        studio.require_token("sk-lm-other:0123456789")
        wrong = examined(daemon.path, "--no-generate")

    assert "the daemon's API key is accepted" in right.told("auth")
    assert right.states["models"] == right.states["generation"] == "ok"
    assert "does not accept the API key" in wrong.told("auth")
    assert key not in str(right.checks) + str(wrong.checks)


def test_a_server_that_only_the_daemon_cannot_reach(short_dir: Path, studio: LMStudio) -> None:
    error = {"code": "upstream_unavailable", "message": "cannot reach it: no route to host"}
    source = SOURCE | {"reachable": False, "stale": True, "error": error}
    with FakeDaemon(short_dir / "d.sock", answering(studio.url, list=models(source=source))):
        result = examined(short_dir / "d.sock", "--no-generate")

    assert result.states["api"] == "ok"
    assert "from here the server answers, but the daemon's last look failed" in result.told(
        "models"
    )
    assert "no route to host" in result.told("models")
    assert "devsynthctl shutdown; devsynthd --socket" in result.told("models")


def test_an_older_lm_studio_is_to_know_of(short_dir: Path) -> None:
    with (
        LMStudio("v0", [QWEN]) as studio,
        start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon,
    ):
        result = examined(daemon.path, "--no-generate")

    assert result.states["api"] == "warn"
    assert "v0" in result.told("api")
    assert "update LM Studio" in result.told("api")


def test_another_server_than_lm_studio(short_dir: Path) -> None:
    with UpstreamServer(["a"]) as server, start_daemon(short_dir, server) as daemon:
        result = examined(daemon.path)

    assert result.is_ok
    assert result.checks["api"]["message"] == "the OpenAI-compatible API"
    assert result.states["models"] == "ok"


def test_an_invalid_file_leaves_the_rest_to_be_checked(daemon: RunningDaemon) -> None:
    file = daemon.path.parent / "config.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n[daemon]\nlog_level = 5\n", encoding="utf-8")

    result = examined(daemon.path, "--no-generate")

    assert result.states["config"] == "failed"
    assert "line" in result.told("config")
    assert "devsynthctl config edit" in result.told("config")
    assert {result.states[name] for name in SERVER} <= {"ok", "warn"}


def test_variables_of_the_shell_that_the_daemon_does_not_have(daemon: RunningDaemon) -> None:
    result = examined(
        daemon.path,
        "--no-generate",
        environ={
            "DEVSYNTH_LLM_PROVIDER": "openai",
            "DEVSYNTH_LLM_MODLE": "x",
            "DEVSYNTH_LLM_API_KEY": "planted-key-1",
            "DEVSYNTH_LLM_TEMPERATURE": "hot",
        },
    )

    assert result.states["environment"] == "warn"
    told = result.told("environment")
    assert "DEVSYNTH_LLM_PROVIDER" in told
    assert "did you mean DEVSYNTH_LLM_MODEL?" in told
    assert "'hot' is not allowed" in told
    assert "devsynthctl config set" in told
    assert "planted-key-1" not in str(result.checks)
    assert result.is_ok


def test_what_hides_the_file_in_the_daemon(short_dir: Path, studio: LMStudio) -> None:
    environ = {"DEVSYNTH_LLM_MODEL": GEMMA}
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", llm_model=QWEN, environ=environ
    ) as daemon:
        result = examined(daemon.path, "--no-generate")

    assert "hide what the file says: llm_model" in result.told("environment")


@pytest.mark.parametrize(
    ("version", "part"),
    [
        ("0.0.9", "the daemon that runs is still 0.0.9 -> devsynthctl shutdown; devsynthd"),
        ("9.8.7", "the daemon 9.8.7 -> upgrade the one of this shell"),
    ],
)
def test_a_daemon_of_another_version(
    short_dir: Path, studio: LMStudio, version: str, part: str
) -> None:
    pong = PONG | {"version": version}
    with FakeDaemon(short_dir / "d.sock", answering(studio.url, ping=pong)):
        result = examined(short_dir / "d.sock", "--no-generate")

    assert result.states["version"] == "warn"
    assert part in result.told("version")


def test_a_daemon_of_another_protocol(short_dir: Path, studio: LMStudio) -> None:
    with FakeDaemon(short_dir / "d.sock", answering(studio.url, ping=PONG | {"protocol": 2})):
        result = examined(short_dir / "d.sock", "--no-generate")

    assert "speaks protocol 2" in result.told("version")
    assert result.status == 1


def test_a_daemon_that_answers_with_errors(short_dir: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), PONG)
        daemon.error(daemon.receive(), "internal")
        daemon.go.wait()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script):
        result = examined(path, "--no-generate")

    assert result.states["daemon"] == "failed"
    assert "it is internal" in result.told("daemon")
    assert result.checks["version"]["message"] == "not checked: no daemon"


def test_a_daemon_that_falls_silent_before_it_generates(short_dir: Path, studio: LMStudio) -> None:
    def script(daemon: FakeDaemon) -> None:
        with contextlib.suppress(KeyError):  # there is no answer to `generate`
            answering(studio.url, list=models(model("qwen/small")))(daemon)
        daemon.go.wait()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script):
        result = examined(path, timeout="0.5")

    assert "takes connections, but does not answer" in result.told("generation")
    remedy = result.checks["generation"]["remedy"]
    assert remedy == f"kill -9 {os.getpid()}; devsynthd --socket {path} &"


def test_a_daemon_that_shuts_down_is_not_waited_for(short_dir: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), PONG)
        daemon.result(daemon.receive(), STATUS)
        daemon.refuse_all()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script) as daemon:
        result = examined(path, "--no-generate")

        asked = [daemon.seen.get(timeout=0)["op"] for _ in range(daemon.seen.qsize())]
    assert asked == ["ping", "status", "config_get"]
    remedy = f"wait until it has ended, then: devsynthd --socket {path} &"
    assert result.told("daemon") == f"the daemon is shutting down -> {remedy}"


def test_a_daemon_that_shuts_down_before_it_generates(short_dir: Path, studio: LMStudio) -> None:
    def script(daemon: FakeDaemon) -> None:
        results = answers_of(studio.url, list=models(model("qwen/small")))
        while (request := daemon.receive())["op"] != "generate":
            daemon.result(request, results[request["op"]])
        daemon.refuse(request)
        daemon.refuse_all()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script):
        result = examined(path)

    assert result.told("generation").startswith("the daemon is shutting down -> wait until")


def test_it_has_help_and_a_place_among_the_commands(run: Run) -> None:
    process = run("doctor", "--help")

    assert process.returncode == 0
    assert "--no-generate" in process.stdout
    assert "doctor" in run("--help").stdout


@pytest.mark.timeout(60)
def test_ctrl_c_ends_it_and_cancels_what_it_asked(daemon: RunningDaemon, studio: LMStudio) -> None:
    studio.load(QWEN)
    studio.next_fault(faults.no_answer(), path=paths.CHAT)
    command = [sys.executable, "-m", "devsynthctl", "--socket", str(daemon.path), "doctor"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            studio.wait_request(path=paths.CHAT, timeout_s=15)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=15)
        finally:
            process.kill()
        studio.wait_disconnected()

    assert process.returncode == 130
    assert "\nok\tmodels" in out
    assert "Traceback" not in err


def test_nobody_reads_on(daemon: RunningDaemon) -> None:
    command = shlex.join([sys.executable, "-m", "devsynthctl", "--socket", str(daemon.path)])
    script = f"({command} doctor --no-generate; echo $? >&2) | head -n 1"
    process = subprocess.run(
        ["sh", "-c", script], capture_output=True, encoding="utf-8", check=False, timeout=20
    )

    assert process.stdout.startswith("state\t")
    assert process.stderr == "141\n"
