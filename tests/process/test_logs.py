"""What the daemon logs, and to whom: the journal, a file of its own, a person, or nobody."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.host.redaction import MASK
from devsynthd.host.service_names import LAUNCHD_LABEL
from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process, environ_of
from tests.support.needs import need, need_root
from tests.support.upstream_replies import status, tokens
from tests.support.upstream_server import UpstreamServer, free_port
from tests.unit.host.test_journal import Reader

KEY = "hunter2/hunter2"
OTHER_KEY = "correct-horse-battery"


def events_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def fields_of(line: str) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(line)["fields"]
    return fields


# About the start -------------------------------------------------------------------------------


def test_a_file_that_was_named_and_is_missing_is_told_once(
    daemon: DaemonProcess, short_dir: Path
) -> None:
    assert daemon.ctl("config", "set", "llm_max_tokens", "9").returncode == 0
    assert daemon.ctl("config", "set", "llm_max_tokens", "8").returncode == 0

    (told,) = [each for each in events_of(daemon.log()) if "is not there" in each["message"]]
    path = short_dir / "config.toml"
    assert told["level"] == "warning"
    assert told["message"] == (
        f"{path}, which was named as the config file, is not there: the defaults hold until it is"
    )


# About requests --------------------------------------------------------------------------------


def test_each_generation_ends_with_one_line(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script += [tokens("the ", "answer"), status(500, {"error": "about the prompt"})]
    assert daemon.ctl("generate", "the prompt").returncode == 0
    assert daemon.ctl("generate", "the prompt").returncode == 1
    for command in (("ping",), ("status",), ("models",), ("config", "list")):
        assert daemon.ctl(*command).returncode == 0
    assert daemon.ctl("shutdown").returncode == 0
    assert daemon.wait() == 0

    told = [each for each in events_of(daemon.log()) if "request" in each.get("fields", {})]
    assert [each["message"] for each in told] == [
        "generate done",
        f"generate failed: {upstream.url} answered with an error (status 500)",
        "shutdown done",
    ]
    done, failed = told[0]["fields"], told[1]["fields"]
    assert done["client"].startswith("devsynthctl")
    assert isinstance(done["client_pid"], int)
    assert done["op"] == "generate"
    assert done["model"]
    assert done["total_s"] >= 0
    assert (failed["state"], failed["error"]) == ("failed", "upstream_error")
    assert "the prompt" not in daemon.log()
    assert "the answer" not in daemon.log()


def test_at_debug_prompt_and_answer_begin(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.append(tokens("the ", "answer"))
    with daemon_process(short_dir, "--log-level", "debug", environ=asks(upstream)) as daemon:
        assert daemon.ctl("generate", f"the\nprompt {'x' * 3000}").returncode == 0
        assert fields_of(daemon.wait_logged('"answer"'))["answer"] == "the answer"
        prompt = fields_of(daemon.wait_logged('"prompt"'))["prompt"]

    assert prompt.startswith("the\nprompt xxx")
    assert len(prompt) == 2000


def test_another_reason_for_being_down_is_told_once_and_is_no_warning(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.wait_logged("is reachable: 1 models")
        for _ in range(2):
            for code in (500, 401):
                upstream.models_reply = status(code, {"error": "no"})
                assert daemon.ctl("models", "--refresh").returncode == 0
        upstream.models_reply = None
        assert daemon.ctl("models", "--refresh").returncode == 0
        told = [each for each in events_of(daemon.log()) if each["logger"].endswith("catalog")]

    assert [(each["level"], each["message"].split(":")[0]) for each in told[1:3]] == [
        ("warning", "no model list"),
        ("info", "still no model list"),
    ]
    assert "is reachable" in told[3]["message"]
    assert len(told) == 4


# Secrets ---------------------------------------------------------------------------------------


def test_no_secret_is_logged_whoever_repeats_it(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script += [
        status(500, {"error": {"message": f"bad key {keys} in Bearer t0ken"}})
        for keys in (KEY, f"{KEY}, {OTHER_KEY}")
    ]
    config = short_dir / "config.toml"
    config.write_text(f'[llm]\napi_key = "{KEY}"\n')
    config.chmod(0o600)
    environ = {**asks(upstream, daemon_log_level="debug")}
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as watcher,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        watcher.send(op="subscribe", id="log", topics=["log"])
        watcher.ask(op="ping", id="ping")
        dealer.ask(op="generate", id=1, prompt=f"what is {KEY}", client=f"{KEY} 1.0")
        dealer.ask(op="download", id=2, model="http://me:pa55@host/model")
        config.write_text(f'[llm]\napi_key = "{OTHER_KEY}"\n')
        daemon.wait_logged("settings changed: llm_api_key")
        reply = dealer.ask(op="generate", id=3, prompt=f"what are {KEY} and {OTHER_KEY}")
        assert reply["error"]["code"] == "upstream_error"
        log = daemon.wait_logged('"request": 5') and daemon.log()
        told = ""
        while "what are" not in told:
            told += json.dumps(watcher.receive())

    for text in (log, told):
        assert f"what is {MASK}" in text
        assert f"what are {MASK} and {MASK}" in text
        assert f"http://{MASK}@host/model" in text
        assert f"{MASK} 1.0" in text
        assert not [each for each in (KEY, OTHER_KEY, "t0ken", "pa55") if each in text]


# The journal -----------------------------------------------------------------------------------

AS_UNDER_SYSTEMD = """
mount -t tmpfs none /run && mkdir /run/systemd && mount --bind "$0" /run/systemd || exit 99
JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$@"
"""
"""Runs a command whose journal is in a folder, and whose stderr says that it is the journal's."""


@pytest.fixture
def under_systemd(short_dir: Path) -> tuple[str, ...]:
    need_root()
    need("unshare", "install util-linux")
    (short_dir / "journal").mkdir()
    return "unshare", "--mount", "sh", "-c", AS_UNDER_SYSTEMD, str(short_dir)


@pytest.fixture
def journal(short_dir: Path, under_systemd: tuple[str, ...]) -> Iterator[Reader]:
    assert under_systemd
    reader = Reader(short_dir / "journal" / "socket")
    with reader.socket:
        yield reader


def test_the_journal_gets_fields(
    short_dir: Path, upstream: UpstreamServer, under_systemd: tuple[str, ...], journal: Reader
) -> None:
    with daemon_process(short_dir, environ=asks(upstream), within=under_systemd) as daemon:
        assert daemon.ctl("generate", "hi").returncode == 0
        told = journal.read()
        while "DEVSYNTH_REQUEST" not in told:
            told = journal.read()
        assert daemon.log() == ""

    assert told["MESSAGE"].startswith("generate done request=")
    assert "total_s=" in told["MESSAGE"]
    assert (told["PRIORITY"], told["SYSLOG_IDENTIFIER"]) == ("6", "devsynthd")
    assert (told["DEVSYNTH_OP"], told["DEVSYNTH_STATE"]) == ("generate", "done")
    assert told["DEVSYNTH_CLIENT_PID"].isdigit()
    assert told["DEVSYNTH_MODEL"] in told["MESSAGE"]


def test_without_a_journal_stderr_has_priorities(
    short_dir: Path, upstream: UpstreamServer, under_systemd: tuple[str, ...]
) -> None:
    with daemon_process(short_dir, environ=asks(upstream), within=under_systemd) as daemon:
        assert daemon.wait_logged("cannot write to the journal").startswith("<4>")
        assert daemon.wait_logged("listening on").startswith("<6>listening on")


def test_a_journal_that_does_not_read_holds_up_nobody(
    short_dir: Path, upstream: UpstreamServer, under_systemd: tuple[str, ...], journal: Reader
) -> None:
    environ = asks(upstream, daemon_log_level="debug")
    with (
        daemon_process(short_dir, environ=environ, within=under_systemd) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        for number in range(1000):
            assert dealer.ask(op="ping", id=number)["type"] == "result"
        told = [each["MESSAGE"] for each in journal.read_all()]
        assert 0 < len(told) < 1000
        dealer.ask(op="reload", id="again")
        while "reload done" not in told[-1]:
            told.append(journal.read()["MESSAGE"])

    assert [each for each in told if each.startswith("lines of the log lost, since nobody")]


# A file of its own -----------------------------------------------------------------------------


def test_under_launchd_it_has_a_file_of_its_own(
    short_dir: Path, upstream: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    environ = {**asks(upstream), "HOME": str(short_dir), "XPC_SERVICE_NAME": LAUNCHD_LABEL}
    with daemon_process(short_dir, environ=environ) as daemon:
        assert daemon.ctl("generate", "hi").returncode == 0
        (file,) = short_dir.rglob("devsynthd.log")
        assert daemon.log() == ""

    assert "generate done" in {each["message"] for each in events_of(file.read_text())}
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_under_launchd_stderr_will_do(short_dir: Path, upstream: UpstreamServer) -> None:
    home = short_dir / "home"
    home.touch()
    environ = {**asks(upstream), "HOME": str(home), "XPC_SERVICE_NAME": LAUNCHD_LABEL}
    environ["XDG_STATE_HOME"] = str(home)
    with daemon_process(short_dir, environ=environ) as daemon:
        assert daemon.ctl("generate", "hi").returncode == 0
        daemon.wait_logged("generate done")  # after the answer
        messages = [each["message"] for each in events_of(daemon.log())]

    assert [each for each in messages if "log file" in each] == messages[:1]


# Nobody ----------------------------------------------------------------------------------------


def test_a_pipe_that_nobody_reads_holds_up_nobody(short_dir: Path) -> None:
    environ = asks(f"http://127.0.0.1:{free_port()}", daemon_log_level="debug")
    with subprocess.Popen(
        [sys.executable, "-m", "devsynthd"],
        env=environ_of(short_dir, environ),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            with Client(short_dir / "s.sock") as client:
                client.connect(wait=10)
                for _ in range(1000):  # some 200 KB, and a pipe holds 64
                    client.ping()
                client.shutdown()
            assert process.wait(10) == 0
        finally:
            process.kill()
