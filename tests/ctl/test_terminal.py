"""The command as a person sees it, on a terminal."""

import json
from contextlib import AbstractContextManager
from pathlib import Path

import pexpect
import pytest

from tests.support.fake_daemon import FakeDaemon
from tests.support.person import WIDTH, at_terminal
from tests.support.replies import DOWNLOADED, LOADED, SELECTED, STATUS, completion, model, models


def on_terminal(command: list[str], *args: str) -> "AbstractContextManager[pexpect.spawn[str]]":
    """Run the command on a terminal of its own, to its end."""
    return at_terminal([*command, *args])


def shown(command: list[str], *args: str) -> str:
    """Return what the command leaves on the terminal, its own line ends as newlines."""
    with on_terminal(command, *args) as child:
        output: str = child.read()
    return output.replace("\r\n", "\n")


LISTING = models(
    model("evil", name="a\x1b]0;owned\x07b", owner="[bold]me[/]", loaded=True, selected=True),
    model("a/very-long-name-" + "x" * 10, name="Long", loaded=False, quantization="Q4_K_M"),
)


def test_models_are_a_table_with_the_selected_one_marked(
    command: list[str], socket_path: Path
) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"list": LISTING})):
        lines = shown(command, "--no-color", "models").splitlines()

    header, evil, long = lines
    assert header.split() == ["id", "name", "owner", "kind", "state", "context", "quantization"]
    assert "* " in evil
    assert "[bold]me[/]" in evil
    assert "a␛]0;owned␇b" in evil
    assert "\x1b]" not in evil
    assert "not loaded" in long
    assert "Q4_K_M" in long


def test_colours_are_left_out_when_asked(
    command: list[str], socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"list": LISTING})):
        with_bold = shown(command, "models")
        monkeypatch.setenv("NO_COLOR", "1")
        without = shown(command, "models")
    assert "\x1b[1m" in with_bold
    assert "\x1b" not in without


def test_a_long_id_is_folded_and_not_cut(command: list[str], socket_path: Path) -> None:
    name = "m" * (WIDTH + 20)
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"list": models(model(name))})):
        output = shown(command, "models")
    assert output.count("m") >= len(name)
    assert "…" not in output


def test_generated_text_cannot_command_the_terminal(command: list[str], socket_path: Path) -> None:
    text = "plain\x1b[2J\r\x9b31m\u202e\x08 done"

    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, text)
        daemon.result(request, completion(text))

    with FakeDaemon(socket_path, script):
        output = shown(command, "generate", "hi")
    bad = "\N{REPLACEMENT CHARACTER}"
    assert output == f"plain␛[2J␍{bad}31m{bad}␈ done\n"


def test_ctrl_c_stops_the_answer_without_a_traceback(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an")
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), on_terminal(command, "generate", "hi") as child:
        child.expect_exact("half an")
        child.sendintr()
        rest = child.read()
        child.wait()
        assert rest.replace("^C", "").strip() == ""
        assert rest.endswith("\r\n")
        assert child.exitstatus == 130


def test_status_is_a_block_of_text(command: list[str], socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"status": STATUS})):
        output = shown(command, "status")
    assert "devsynthd 9.8.7, pid 4321, up 1 h 2 min\n" in output
    assert "\t" not in output


CANDIDATES = models(model("a", selected=True), model("b"), model("e", kind="embedding"))


@pytest.mark.parametrize(
    ("answers", "chosen"), [(["2"], "b"), (["b"], "b"), (["3", "e", "x", "1"], "a")]
)
def test_select_asks_by_number_or_id(
    command: list[str], socket_path: Path, answers: list[str], chosen: str
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), CANDIDATES)
        request = daemon.receive()
        assert (request["op"], request["model"]) == ("select", chosen)
        daemon.result(request, SELECTED)

    with FakeDaemon(socket_path, script), on_terminal(command, "select") as child:
        child.expect_exact("* 1  a")
        child.expect_exact("  2  b")
        for answer in answers:
            child.expect_exact("Number or id")
            child.sendline(answer)
        child.expect_exact("qwen/small (selected: as told)")
        child.read()
        child.wait()
        assert child.exitstatus == 0


@pytest.mark.parametrize(("key", "status"), [("\r", 0), ("\x04", 130), ("\x03", 130)])
def test_select_keeps_the_model_if_nothing_is_answered(
    command: list[str], socket_path: Path, key: str, status: int
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.result(request, CANDIDATES)
        daemon.wait_until_cancelled(request)  # it hangs up, and asks nothing more

    with FakeDaemon(socket_path, script), on_terminal(command, "select") as child:
        child.expect_exact("Number or id")
        child.send(key)
        assert "Traceback" not in child.read()
        child.wait()
        assert child.exitstatus == status


WIPED = "\x1b[2K"
"""What erases the line of a bar or a spinner."""


def test_a_download_has_a_bar_on_stderr_that_is_wiped_off(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is True
        daemon.progress(request, "downloading", None)
        daemon.progress(request, "downloading", 0.25)
        assert daemon.go.wait(10)
        daemon.result(request, DOWNLOADED)

    output = tmp_path / "output"
    to_file = ["bash", "-c", f'"$@" >{output}', "-", *command]
    with (
        FakeDaemon(socket_path, script) as daemon,
        on_terminal(to_file, "--no-color", "download", "evil\x1b]0;owned\x07[b]") as child,
    ):
        child.expect(r"downloading evil␛\]0;owned␇\[b\] ━+[^\r\n]* 25% \d+ s")
        daemon.go.set()
        rest = child.read()
        child.wait()
        assert child.exitstatus == 0
    assert rest.endswith(WIPED)
    assert output.read_text() == "downloaded qwen/small (2.1 GB)\n"


def test_a_load_has_a_spinner_with_the_seconds(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "loading", None)
        assert daemon.go.wait(10)
        daemon.result(request, LOADED)

    with (
        FakeDaemon(socket_path, script) as daemon,
        on_terminal(command, "--no-color", "load", "a") as child,
    ):
        child.expect(r"loading a [\u2801-\u28ff] +0 s")
        child.expect(r"loading a [\u2801-\u28ff] +1 s")
        daemon.go.set()
        rest = child.read()
    assert rest.endswith(f"{WIPED}loaded qwen/small as qwen/small:2 in 9.1 s\r\n")
    assert "%" not in rest


def test_json_has_no_progress_on_a_terminal_either(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is False
        daemon.result(request, LOADED)

    with FakeDaemon(socket_path, script):
        output = shown(command, "load", "a", "--json")
    assert json.loads(output) == LOADED
    assert "\x1b" not in output


def test_ctrl_c_wipes_the_bar_and_tells_what_goes_on(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "downloading", 0.5)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), on_terminal(command, "download", "a") as child:
        child.expect_exact("50%")
        child.sendintr()
        rest = child.read()
        child.wait()
        assert child.exitstatus == 130
    told = rest.partition(f"{WIPED}devsynthctl: ")[2]
    assert told.startswith("no longer waiting for a; LM Studio may go on downloading it\r\nhint: ")
