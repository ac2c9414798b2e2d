"""``devsynthctl chat`` as a person sees it, on a terminal."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import completion, model, models

ENTER, TAB = "\r", "\t"
PROMPT = "\x1b[?2004h"  # the terminal is to mark what is pasted: from here on keys are read


@contextmanager
def chatting(command: list[str], folder: Path, *options: str) -> Iterator["pexpect.spawn[str]"]:
    """Run a chat on a terminal, up to the first prompt; its history is in *folder*."""
    state = {"XDG_STATE_HOME": str(folder), "HOME": str(folder), "PROMPT_TOOLKIT_NO_CPR": "1"}
    with at_terminal([*command, *options, "chat"], {**os.environ, **state}) as child:
        child.expect_exact("/help shows more")
        child.expect_exact(PROMPT)
        yield child


def leave(child: "pexpect.spawn[str]") -> str:
    """Leave with Ctrl-D, which is no failure; return what is shown meanwhile."""
    child.sendeof()
    shown = rest_of(child)
    assert child.exitstatus == 0
    return shown


def one_turn(daemon: FakeDaemon) -> None:
    request = daemon.receive()
    daemon.chunk(request, 0, "fine")
    daemon.result(request, completion("fine"))


def test_text_of_a_model_cannot_command_the_terminal(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    text = "plain\x1b[2J\r\x9b31m\u202e\x08 done"

    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, text)
        daemon.result(request, completion(text, model="evil\x1b]0;owned\x07"))
        request = daemon.receive()
        daemon.error(request, "upstream_error", message="bad\x1b[2J", hint="worse\x1b[2J")

    bad = "\N{REPLACEMENT CHARACTER}"
    with FakeDaemon(socket_path, script), chatting(command, tmp_path) as child:
        child.send(f"a{ENTER}")
        child.expect_exact(f"plain␛[2J␍{bad}31m{bad}␈ done\r\n")
        child.expect_exact("evil␛]0;owned␇ answers")
        child.expect_exact(PROMPT)
        child.send(f"b{ENTER}")
        child.expect_exact("bad␛[2J")
        child.expect_exact("hint: worse␛[2J")
        child.expect_exact(PROMPT)
        leave(child)


def test_what_was_typed_is_shown_again_as_safely(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, lambda daemon: daemon.serve({})),
        chatting(command, tmp_path) as child,
    ):
        for entry in ("/system \x1b[200~a\x1b]0;owned\x07b\x1b[201~", "/system"):
            child.send(entry + ENTER)
            child.expect_exact(PROMPT)
        assert isinstance(child.before, str)
        assert "a␛]0;owned␇b\r\n" in child.before
        leave(child)


def test_ctrl_c_at_the_prompt_clears_the_line_and_then_tells_how_to_leave(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    with FakeDaemon(socket_path, one_turn) as daemon, chatting(command, tmp_path) as child:
        child.send("never sent")
        child.expect_exact("never sent")
        child.send("\x03")
        child.expect_exact(PROMPT)
        assert "leaves" not in (child.before or "")
        child.send("\x03")
        child.expect_exact("devsynthctl: Ctrl-D leaves")
        child.expect_exact(PROMPT)
        child.send(f"a{ENTER}")
        child.expect_exact("fine\r\n")
        child.expect_exact(PROMPT)
        leave(child)
        assert [each["content"] for each in daemon.seen.get()["messages"]] == ["a"]


def test_tab_completes_commands_and_models(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    listing = models(model("qwen/small"), model("other"), model("qwen-embed", kind="embedding"))

    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            request = daemon.receive()
            assert request["op"] == "list"
            daemon.result(request, listing)

    with FakeDaemon(socket_path, script), chatting(command, tmp_path) as child:
        child.send(f"/mo{TAB}")
        child.expect_exact("/mo")
        child.expect_exact("del")
        child.send(f" q{TAB}")
        child.expect_exact("wen/small")
        child.send(ENTER)
        child.expect_exact("qwen/small answers from now on")
        child.expect_exact(PROMPT)
        leave(child)


def test_a_completion_that_fails_is_silent(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "internal")
        one_turn(daemon)

    with FakeDaemon(socket_path, script) as daemon, chatting(command, tmp_path) as child:
        child.send(f"/model q{TAB}")
        child.expect_exact("/model q")
        assert daemon.seen.get(timeout=10)["op"] == "list"
        child.send("\x03")
        child.expect_exact(PROMPT)
        child.send(f"a{ENTER}")
        child.expect_exact("fine\r\n")
        assert "internal" not in (child.before or "")
        child.expect_exact(PROMPT)
        leave(child)


def test_a_conversation_that_is_too_long_is_cleared_and_the_message_sent_again(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        one_turn(daemon)
        daemon.error(daemon.receive(), "context_overflow", hint="load it with more")
        one_turn(daemon)

    with FakeDaemon(socket_path, script) as daemon, chatting(command, tmp_path) as child:
        for entry, shown in (
            ("a", "fine"),
            ("b", "hint: load it with more; /clear starts anew"),
            ("/clear", "a new conversation"),
            ("/retry", "fine"),
        ):
            child.send(entry + ENTER)
            child.expect_exact(shown)
            child.expect_exact(PROMPT)
        leave(child)
        sent = [daemon.seen.get()["messages"] for _ in range(3)]
    assert [each["content"] for each in sent[2]] == ["b"]


def test_a_long_wait_has_a_sign_that_is_wiped_off(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert daemon.go.wait(10)
        daemon.chunk(request, 0, "fine")
        daemon.result(request, completion("fine"))

    with FakeDaemon(socket_path, script) as daemon, chatting(command, tmp_path) as child:
        child.send(f"a{ENTER}")
        child.expect_exact("waiting for an answer")
        daemon.go.set()
        child.expect_exact("\x1b[2K")  # the line is wiped off before the answer begins
        child.expect_exact("fine\r\n")
        child.expect_exact(PROMPT)
        leave(child)


def test_a_history_that_cannot_be_kept_is_told_once(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "devsynth").write_text("no folder")
    (tmp_path / "Library").write_text("no folder, where it is in there")

    def script(daemon: FakeDaemon) -> None:
        one_turn(daemon)
        one_turn(daemon)

    with FakeDaemon(socket_path, script), chatting(command, tmp_path) as child:
        child.send(f"a{ENTER}")
        child.expect_exact("fine\r\n")
        child.expect_exact(PROMPT)
        child.send(f"b{ENTER}")
        child.expect_exact("fine\r\n")
        assert "is not kept" not in (child.before or "")
        child.expect_exact(PROMPT)
        leave(child)


def test_the_history_is_private(command: list[str], socket_path: Path, tmp_path: Path) -> None:
    with FakeDaemon(socket_path, one_turn), chatting(command, tmp_path) as child:
        child.send(f"a{ENTER}")
        child.expect_exact("fine\r\n")
        child.expect_exact(PROMPT)
        leave(child)
    (file,) = tmp_path.rglob("history.jsonl")
    assert file.read_text() == '"a"\n'
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_dumb_terminal_gets_no_escapes(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    dumb = ["env", "TERM=dumb", *command, "chat"]
    with FakeDaemon(socket_path, one_turn), at_terminal(dumb, environ) as child:
        child.expect_exact("shows more\r\n> ")
        child.waitnoecho()  # from here on keys are read
        child.send(f"a{ENTER}")
        child.expect_exact("fine\r\n")
        assert "\x1b" not in (child.before or "")
        child.expect_exact("> ")
        child.waitnoecho()
        child.sendeof()
        assert "\x1b" not in rest_of(child)
        assert child.exitstatus == 0


@pytest.mark.parametrize("option", ["--no-color", None])
def test_colours_are_left_out_when_asked(
    command: list[str], socket_path: Path, tmp_path: Path, option: str | None
) -> None:
    with (
        FakeDaemon(socket_path, lambda daemon: daemon.serve({})),
        chatting(command, tmp_path, *([option] if option else [])) as child,
    ):
        child.send(f"/{TAB}")
        child.expect_exact("/quit")
        has_colours = "[0;38;5;" in (child.before or "") or "[0;37;" in (child.before or "")
        assert has_colours == (option is None), child.before
