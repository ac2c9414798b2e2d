"""``devsynthctl`` on a terminal and in a pipe, with models that say what they should not."""

import json

import pytest

from tests.support.daemon import CTL, DaemonProcess
from tests.support.terminal import shown_on_terminal
from tests.support.upstream_replies import completion, tokens
from tests.support.upstream_server import UpstreamServer

EVIL = "evil\x1b]0;title\x07\x1b[31mred\x9b\r\n\tx"


def test_piped_tables_are_separated_by_tabs(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.models = ["m", "b"]

    lines = daemon.ctl("models", "--refresh").stdout.splitlines()

    header, first, second = (line.split("\t") for line in lines)
    assert (header[0], header[-1]) == ("id", "selected")
    assert (first[0], first[-1]) == ("m", "*")
    assert (second[0], second[-1]) == ("b", "")
    assert len(header) == len(first) == len(second)


def test_a_terminal_gets_a_table(daemon: DaemonProcess) -> None:
    returncode, shown = shown_on_terminal([*CTL, "models"], daemon.environ)

    assert returncode == 0
    assert "\t" not in shown
    assert "quantization" in shown
    assert any(line.split()[:3] == ["*", "m", "m"] for line in plain(shown).splitlines())


def test_no_color_is_honoured(daemon: DaemonProcess) -> None:
    for command, environ in (
        ([*CTL, "--no-color", "models"], daemon.environ),
        ([*CTL, "models"], {**daemon.environ, "NO_COLOR": "1"}),
    ):
        _, shown = shown_on_terminal(command, environ)
        assert "\x1b[3" not in shown
        assert "\x1b[9" not in shown


def plain(shown: str) -> str:
    """Return *shown* without the bold and dim of our own tables."""
    for code in ("0", "1", "2"):
        shown = shown.replace(f"\x1b[{code}m", "")
    return shown


@pytest.mark.parametrize("command", [["models"], ["models", "-q"], ["models", "--json"]])
def test_a_models_name_cannot_command_a_terminal(
    daemon: DaemonProcess, upstream: UpstreamServer, command: list[str]
) -> None:
    upstream.models = [EVIL]

    _, shown = shown_on_terminal([*CTL, *command, "--refresh"], daemon.environ)

    assert "evil" in shown
    assert not any(character in plain(shown) for character in "\x1b\x07\x9b")


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_an_answer_cannot_command_a_terminal(
    daemon: DaemonProcess, upstream: UpstreamServer, option: list[str]
) -> None:
    upstream.script.append(tokens(EVIL))

    returncode, shown = shown_on_terminal([*CTL, "generate", *option, "hi"], daemon.environ)

    assert returncode == 0
    assert "red" in shown
    assert not any(character in shown for character in "\x1b\x07\x9b")


def test_a_piped_answer_is_what_the_model_said(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(completion("tab\tbell\x07 done"))

    assert daemon.ctl("generate", "hi").stdout == "tab\tbell\x07 done\n"


def test_status_for_people_and_for_programs(daemon: DaemonProcess) -> None:
    _, shown = shown_on_terminal([*CTL, "status"], daemon.environ)
    piped = dict(line.split("\t") for line in daemon.ctl("status").stdout.splitlines())
    as_json = json.loads(daemon.ctl("status", "--json").stdout)

    pid = daemon.process.pid
    assert f"pid {pid}" in shown
    assert piped["pid"] == str(pid)
    assert as_json["pid"] == pid
    assert as_json["source"]["reachable"] is True
