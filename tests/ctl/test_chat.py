"""``devsynthctl chat`` in a pipe: a message a line, an answer each."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import IO, Any, cast

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import completion, model, models


def answering(*answers: str, **fields: object) -> Script:
    """Answer one generation after the other, in two pieces each."""

    def script(daemon: FakeDaemon) -> None:
        for answer in answers:
            request = daemon.receive()
            middle = len(answer) // 2
            for seq, piece in enumerate((answer[:middle], answer[middle:])):
                daemon.chunk(request, seq, piece)
            daemon.result(request, completion(answer, **fields))

    return script


def said(request: dict[str, Any]) -> list[str]:
    """Return the texts that were sent."""
    return [message["content"] for message in request["messages"]]


def test_each_line_is_a_message_with_all_that_was_said_before(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering("one", "two\n")) as daemon:
        process = run("chat", "-s", "be brief", stdin="a\r\n\n  \nb")
        first, second = daemon.seen.get(), daemon.seen.get()

    assert (process.returncode, process.stdout) == (0, "one\ntwo\n")
    assert process.stderr == "devsynthctl: qwen/small answers\n"
    assert first["messages"] == [
        {"role": "user", "content": "a"},
    ]
    assert [(each["role"], each["content"]) for each in second["messages"]] == [
        ("user", "a"),
        ("assistant", "one"),
        ("user", "b"),
    ]
    assert [each["system"] for each in (first, second)] == ["be brief"] * 2
    assert (first["stream"], first["prompt"], first["model"]) == (True, None, None)


def test_the_messages_of_a_file_come_first(run: Run, socket_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "context.json"
    file.write_text(json.dumps([{"role": "user", "content": "look"}]))
    with FakeDaemon(socket_path, answering("one")) as daemon:
        assert run("chat", "-c", str(file), stdin="a\n").returncode == 0
        assert said(daemon.seen.get()) == ["look", "a"]


def test_an_answer_is_written_before_the_next_message_is_read(
    command: list[str], socket_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, answering("one", "two")),
        subprocess.Popen(
            [*command, "chat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        for message, answer in (("a", "one\n"), ("b", "two\n")):
            stdin.write(f"{message}\n")
            stdin.flush()
            assert stdout.readline() == answer
        stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize("stdin", [None, "", "\n", "/quit\nnever sent\n"])
def test_nothing_said_is_no_failure(run: Run, socket_path: Path, stdin: str | None) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({})) as daemon:
        process = run("chat", stdin=stdin)
        assert daemon.seen.empty()
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


def test_the_model_is_told_once_and_when_it_changes(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for name in ("a", "a", "b"):
            daemon.result(daemon.receive(), completion("x", model=name))

    with FakeDaemon(socket_path, script):
        process = run("chat", stdin="1\n2\n3\n")
    assert process.stderr == "devsynthctl: a answers\ndevsynthctl: b answers\n"


def test_a_model_that_was_named_is_sent_and_not_told(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering("one")) as daemon:
        process = run("chat", "-m", "mine", stdin="a\n")
        assert daemon.seen.get()["model"] == "mine"
    assert process.stderr == ""


def test_the_shells_settings_are_sent(
    run: Run, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "theirs")
    monkeypatch.setenv("DEVSYNTH_LLM_MAX_TOKENS", "7")
    monkeypatch.setenv("DEVSYNTH_LLM_TEMPERATURE", "0.5")
    with FakeDaemon(socket_path, answering("one", "two", "three")) as daemon:
        run("chat", stdin="a\n")
        run("chat", "-m", "mine", stdin="a\n")
        run("chat", "-m", "", stdin="a\n")
        first, second, third = (daemon.seen.get() for _ in range(3))
    assert [each["model"] for each in (first, second, third)] == ["theirs", "mine", None]
    assert (second["max_tokens"], second["temperature"]) == (7, 0.5)


def test_warnings_are_told(run: Run, socket_path: Path) -> None:
    warning = {"code": "truncated", "message": "it was cut off"}
    with FakeDaemon(socket_path, answering("one", warnings=[warning])):
        process = run("chat", "-m", "m", stdin="a\n")
    assert process.stdout == "one\n"
    assert process.stderr == "devsynthctl: warning: it was cut off\n"


def test_an_answer_without_text_is_told_and_not_sent_back(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering("", "two")) as daemon:
        process = run("chat", "-m", "m", stdin="a\nb\n")
        daemon.seen.get()
        assert said(daemon.seen.get()) == ["b"]
    assert process.stdout == "two\n"
    assert process.stderr == "devsynthctl: the answer has no text\n"


def test_an_answer_stays_until_there_is_another_one(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering("one", "", "two", "three")) as daemon:
        process = run("chat", "-m", "m", stdin="a\n/retry\nb\n/retry\n")
        asked = [said(daemon.seen.get()) for _ in range(4)]
    assert process.stdout == "one\ntwo\nthree\n"
    assert asked == [["a"], ["a"], ["a", "one", "b"], ["a", "one", "b"]]


# Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [("upstream_unavailable", 4), ("model_not_found", 5), ("queue_full", 7), ("cancelled", 130)],
)
def test_the_first_error_ends_it_with_its_status(
    run: Run, socket_path: Path, code: str, status: int
) -> None:
    def script(daemon: FakeDaemon) -> None:
        answering("one")(daemon)
        daemon.error(daemon.receive(), code, hint="do this")

    with FakeDaemon(socket_path, script):
        process = run("chat", "-m", "m", stdin="a\nb\nnever sent\n")
    assert (process.returncode, process.stdout) == (status, "one\n")
    assert process.stderr == f"devsynthctl: it is {code}\nhint: do this\n"


def test_a_conversation_that_is_too_long_can_be_cleared(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "context_overflow", hint="load it with more")

    with FakeDaemon(socket_path, script):
        process = run("chat", stdin="a\n")
    assert process.returncode == 1
    assert "hint: load it with more; /clear starts anew" in process.stderr


def test_without_a_daemon_it_says_how_to_start_one(run: Run) -> None:
    process = run("chat", stdin="a\n")
    assert (process.returncode, process.stdout) == (3, "")
    assert "start the daemon" in process.stderr


@pytest.mark.parametrize("args", [["--json", "chat"], ["chat", "--json"]])
def test_json_is_for_generate(run: Run, args: list[str]) -> None:
    process = run(*args, stdin="a\n")
    assert (process.returncode, process.stdout) == (2, "")
    assert "`generate --json`" in json.loads(process.stderr)["error"]["message"]
    assert "--json" not in run("chat", "--help").stdout


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["-c", "/no/such/file"], "/no/such/file"),
        (["extra"], "extra"),
        (["-s", os.fsdecode(b"\xff")], "not UTF-8 text"),
    ],
)
def test_wrong_options_are_told_before_anything_is_asked(
    run: Run, args: list[str], complaint: str
) -> None:
    process = run("chat", *args, stdin="a\n")
    assert (process.returncode, process.stdout) == (2, "")
    assert complaint in process.stderr


def test_a_line_that_is_no_text_ends_it(command: list[str], socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({})):
        process = subprocess.run(
            [*command, "chat"],
            input=b"caf\xe9\n",
            capture_output=True,
            check=False,
            timeout=15,
        )
    assert (process.returncode, process.stdout) == (2, b"")
    assert b"not UTF-8 text: byte 0xe9" in process.stderr


def test_ctrl_c_ends_it_and_cancels(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half\n")
        daemon.wait_until_cancelled(request)

    with (
        FakeDaemon(socket_path, script),
        subprocess.Popen(
            [*command, "chat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        stdin, stdout = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)
        stdin.write("a\n")
        stdin.flush()
        assert stdout.readline() == "half\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 130


# Commands --------------------------------------------------------------------------------------


def test_commands_work_and_stdout_has_nothing_but_answers(run: Run, socket_path: Path) -> None:
    lines = ["/system be brief", "a", "/retry", "/clear", "/system", "/system -", "//b", "/help"]
    with FakeDaemon(socket_path, answering("one", "two", "three")) as daemon:
        process = run("chat", "-m", "m", stdin="\n".join(lines))
        first, second, third = (daemon.seen.get() for _ in range(3))

    assert (process.returncode, process.stdout) == (0, "one\ntwo\nthree\n")
    assert [said(each) for each in (first, second, third)] == [["a"], ["a"], ["/b"]]
    assert [each["system"] for each in (first, second, third)] == ["be brief", "be brief", None]
    told = process.stderr.splitlines()
    assert told[:4] == [
        "devsynthctl: the system message is set",
        "devsynthctl: a new conversation",
        "be brief",
        "devsynthctl: no system message",
    ]
    assert told[4].startswith("/help")


def test_a_model_is_chosen_by_its_name(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), models(model("a"), model("b\x1b[2J")))
        daemon.result(daemon.receive(), models(model("a"), model("b")))
        answering("one")(daemon)
        answering("two")(daemon)

    with FakeDaemon(socket_path, script) as daemon:
        process = run("chat", stdin="/model\n/model b\nx\n/model -\ny\n")
        requests = [daemon.seen.get() for _ in range(4)]

    assert [each["op"] for each in requests] == ["list", "list", "generate", "generate"]
    assert [each["model"] for each in requests[2:]] == ["b", None]
    assert process.stdout == "one\ntwo\n"
    assert process.stderr == (
        "qwen/small (auto: the first one that is loaded)\n"
        "  1  a\n"
        "  2  b␛[2J\n"
        "devsynthctl: b answers from now on\n"
        "devsynthctl: the daemon decides who answers from now on\n"
        "devsynthctl: qwen/small answers\n"
    )


def test_a_model_that_is_not_listed_is_looked_for_once_more(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for listing in (models(model("qwen/small")), models(model("qwen/small"), model("new"))):
            daemon.result(daemon.receive(), listing)
        for _ in range(2):
            daemon.result(daemon.receive(), models(model("qwen/small")))

    with FakeDaemon(socket_path, script) as daemon:
        process = run("chat", stdin="/model new\n/model qwen/smal\n")
        assert [daemon.seen.get()["refresh"] for _ in range(4)] == [False, True] * 2

    assert (process.returncode, process.stdout) == (5, "")
    new, missing, hint = process.stderr.splitlines()
    assert new == "devsynthctl: new answers from now on"
    assert "the model qwen/smal is not among" in missing
    assert hint.startswith("hint: did you mean qwen/small?")


@pytest.mark.parametrize("line", ["/hlep", "/clear all", "/retry"])
def test_what_cannot_be_done_ends_it(run: Run, socket_path: Path, line: str) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({})) as daemon:
        process = run("chat", stdin=f"{line}\nnever sent\n")
        assert daemon.seen.empty()
    assert (process.returncode, process.stdout) == (2, "")
    assert "hint: " in process.stderr


def test_a_pipe_does_not_load_the_prompt(command: list[str], socket_path: Path) -> None:
    python = [command[0], "-X", "importtime", *command[1:]]
    with FakeDaemon(socket_path, answering("one")):
        process = subprocess.run(
            [*python, "chat"],
            input="a\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )
    assert process.stdout == "one\n"
    assert "devsynthctl.chat.session" in process.stderr
    assert "prompt_toolkit" not in process.stderr
