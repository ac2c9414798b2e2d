"""``devsynthctl chat`` as a person at a terminal uses it, on a real daemon."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, daemon_process
from tests.support.person import at_terminal, rest_of
from tests.support.upstream_replies import silence, silence_after, status, tokens
from tests.support.upstream_server import UpstreamServer

SOON_S = 0.5  # for a cancellation to reach the upstream; it takes some milliseconds
ENTER, ALT_ENTER, CTRL_J = "\r", "\x1b\r", "\n"
UP = "\x1b[A"
PROMPT = "\x1b[?2004h"  # the terminal is to mark what is pasted: from here on keys are read
PASTED = "\x1b[200~{}\x1b[201~"


@contextmanager
def chatting(
    daemon: DaemonProcess, folder: Path, *arguments: str
) -> Iterator["pexpect.spawn[str]"]:
    """Run a chat on a terminal, up to the first prompt; its history is in *folder*."""
    state = {"XDG_STATE_HOME": str(folder), "HOME": str(folder), "PROMPT_TOOLKIT_NO_CPR": "1"}
    with at_terminal([*CTL, "chat", *arguments], {**daemon.environ, **state}) as child:
        child.expect_exact("/help shows more")
        child.expect_exact(PROMPT)
        yield child


def say(child: "pexpect.spawn[str]", text: str, *shown: str) -> None:
    """Enter *text*, see each of *shown* in turn, and wait until the next text can be entered."""
    child.send(text + ENTER)
    for each in (*shown, PROMPT):
        child.expect_exact(each)


def leave(child: "pexpect.spawn[str]") -> None:
    """Leave with Ctrl-D, which is no failure."""
    child.sendeof()
    rest_of(child)
    assert child.exitstatus == 0


def said(upstream: UpstreamServer, number: int) -> list[str]:
    """Return the texts of the generation *number* (from 1), in turn."""
    messages = upstream.wait_generation(number).body["messages"]
    return [message["content"] for message in messages]


def test_a_conversation_goes_on_from_what_was_said(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    upstream.script.extend([tokens("one", " two"), tokens("three")])
    with chatting(daemon, short_dir, "-s", "be brief") as child:
        say(child, "a", "one two\r\n", "m answers")
        say(child, "b", "three\r\n")
        leave(child)

    assert said(upstream, 1) == ["be brief", "a"]
    assert said(upstream, 2) == ["be brief", "a", "one two", "b"]
    roles = [message["role"] for message in upstream.generations[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


def test_what_was_entered_is_recalled_in_the_next_chat(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    with chatting(daemon, short_dir) as child:
        say(child, "first", "Hello world")
        say(child, f"two{CTRL_J}lines", "Hello world")
        leave(child)
    with chatting(daemon, short_dir) as child:
        say(child, UP + "!", "Hello world")
        say(child, UP * 5, "Hello world")
        leave(child)

    assert said(upstream, 3) == ["two\nlines!"]
    assert said(upstream, 4)[-1] == "first"


def test_a_message_may_have_several_lines(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    pasted = PASTED.format("def f():\r\n    pass\r\n\r\n/quit")
    with chatting(daemon, short_dir) as child:
        say(child, f"one{ALT_ENTER}two{CTRL_J}  three", "Hello world")
        say(child, f"explain:{CTRL_J}{pasted}", "Hello world")
        leave(child)

    assert said(upstream, 1) == ["one\ntwo\n  three"]
    assert said(upstream, 2)[-1] == "explain:\ndef f():\n    pass\n\n/quit"


def test_another_model_is_chosen_and_a_wrong_name_changes_nothing(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    upstream.models = ["small", "large"]
    daemon.ctl("models", "--refresh")
    with chatting(daemon, short_dir) as child:
        say(child, "/model", "small (auto", "* 1  small", "  2  large")
        say(child, "/model large", "large answers from now on")
        say(child, "/model larg", "the model larg is not among", "did you mean large?")
        say(child, "a", "Hello world")
        say(child, "/model 1", "small answers from now on")
        say(child, "b", "Hello world")
        leave(child)

    assert [each.body["model"] for each in upstream.generations] == ["large", "small"]


def test_instructions_change_and_an_answer_is_asked_for_again(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    upstream.script.extend([tokens("one"), tokens("two"), tokens("three"), tokens("four")])
    with chatting(daemon, short_dir) as child:
        say(child, "a", "one\r\n")
        say(child, "/system be brief", "the system message is set")
        say(child, "/retry", "two\r\n")
        say(child, "b", "three\r\n")
        say(child, "/clear", "a new conversation")
        say(child, "/system", "be brief\r\n")
        say(child, "/retyr", "there is no command /retyr", "did you mean /retry?")
        say(child, "//c", "four\r\n")
        child.send(f"/quit{ENTER}")
        rest_of(child)
        assert child.exitstatus == 0

    assert [said(upstream, number) for number in (1, 2, 3, 4)] == [
        ["a"],
        ["be brief", "a"],
        ["be brief", "a", "two", "b"],
        ["be brief", "/c"],
    ]


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on_from_there(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    upstream.script.append(silence_after("half an"))
    with chatting(daemon, short_dir) as child:
        child.send(f"a{ENTER}")
        child.expect_exact("half an")
        child.sendintr()
        stopped_at = time.monotonic()
        child.expect_exact("stopped")
        child.expect_exact(PROMPT)
        assert upstream.wait_disconnected() - stopped_at < SOON_S
        say(child, "go on", "Hello world")
        leave(child)

    assert said(upstream, 2) == ["a", "half an", "go on"]


def test_ctrl_c_before_the_first_word_leaves_the_message_to_be_sent_again(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    upstream.script.append(silence())
    with chatting(daemon, short_dir) as child:
        child.send(f"a{ENTER}")
        upstream.wait_generation()
        child.sendintr()
        stopped_at = time.monotonic()
        child.expect_exact("stopped")
        child.expect_exact(PROMPT)
        assert upstream.wait_disconnected() - stopped_at < SOON_S
        say(child, "/retry", "Hello world")
        leave(child)

    assert said(upstream, 2) == ["a"]


def test_the_answer_stays_if_another_one_fails_or_is_stopped_before_it_begins(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    broken = status(500, {"error": {"message": "bad luck"}})
    upstream.script.extend([tokens("one"), broken, silence(), tokens("two"), tokens("three")])
    with chatting(daemon, short_dir) as child:
        say(child, "a", "one\r\n")
        say(child, "/retry", "bad luck")
        child.send(f"/retry{ENTER}")
        upstream.wait_generation(3)
        child.sendintr()
        child.expect_exact("stopped")
        child.expect_exact(PROMPT)
        say(child, "b", "two\r\n")
        say(child, "/retry", "three\r\n")
        leave(child)

    assert [said(upstream, number) for number in (2, 3, 4, 5)] == [
        ["a"],
        ["a"],
        ["a", "one", "b"],
        ["a", "one", "b"],
    ]


def test_a_failed_turn_is_told_and_left_out(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    broken = status(500, {"error": {"message": "out of \x1b[31mluck"}})
    upstream.script.extend([tokens("one"), broken, tokens("two"), broken, tokens("three")])
    with chatting(daemon, short_dir) as child:
        say(child, "a", "one\r\n")
        say(child, "b", "luck")
        say(child, "c", "two\r\n")
        say(child, "d", "luck")
        say(child, "/retry", "three\r\n")
        leave(child)

    assert said(upstream, 3) == ["a", "one", "c"]
    assert said(upstream, 5) == ["a", "one", "c", "two", "d"]


def test_a_daemon_that_comes_back_is_talked_to_again(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("half an"))
    with (
        daemon_process(short_dir, environ=asks(upstream)) as first,
        chatting(first, short_dir) as child,
    ):
        child.send(f"a{ENTER}")
        child.expect_exact("half an")
        first.signal(signal.SIGKILL)
        child.expect_exact("went away before its answer")
        child.expect_exact(PROMPT)
        say(child, "b", "is not reachable", "start the daemon")
        with daemon_process(short_dir, environ=asks(upstream)):
            say(child, "/retry", "Hello world")
            leave(child)

    assert said(upstream, 2) == ["b"]


def test_answers_go_to_a_file_and_the_prompt_does_not(
    daemon: DaemonProcess, short_dir: Path
) -> None:
    output = short_dir / "output"
    state = {"XDG_STATE_HOME": str(short_dir), "PROMPT_TOOLKIT_NO_CPR": "1"}
    to_file = ["bash", "-c", f'"$@" >{output}', "-", *CTL, "chat"]
    with at_terminal(to_file, {**daemon.environ, **state}) as child:
        child.expect_exact(PROMPT)
        say(child, "a", "m answers")
        leave(child)
    assert output.read_text() == "Hello world\n"
