"""What a server says to the terminal of whoever looks: it arrives as text, never as a command.

Every place where a server's words are shown, by the real commands on a real daemon.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, Dealer, daemon_process
from tests.support.person import at_terminal, rest_of
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import events, piece, silence, status, usage
from tests.support.upstream_server import UpstreamServer

MARK = "evil"
COMMANDS = (
    "\x1b]52;c;cm0gLXJmIH4=\x07"  # into the clipboard
    "\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\"
    "\x1b]0;title\x07"
    "\x1b[5n\x1b[2J\x1b[8m"  # an answer to be typed, a blank screen, hidden text
    "\x1bP+q544e\x1b\\\x1b_x\x1b\\\x1bc"
    "\x9b2J\x90x\x9c\x9d0;y\x9c"  # the same in C1
    "\x08\x7f\x85\x0b\x0c\r\n"
    "\u202e\u2066\u200f\u2028\u061c"  # what makes text run backwards
)
EVIL = MARK + COMMANDS
TEXT = EVIL + "\0"  # which no argument of a command can have
FORBIDDEN = (
    *("\x1b]", "\x1b[5n", "\x1b[2J", "\x1b[8m", "\x1bP", "\x1b_", "\x1bc", "\x07", "\x08", "\x00"),
    *map(chr, range(0x7F, 0xA0)),
    *("\u202e", "\u2066", "\u200f", "\u2028", "\u061c"),
)


async def _evil(exchange: Exchange) -> None:
    """Answer each generation so that all that can be text is TEXT."""
    call = {"index": 0, "id": TEXT, "function": {"name": TEXT, "arguments": TEXT}}
    await events(
        piece(TEXT, model=TEXT, reasoning_content=TEXT),
        piece(tool_calls=[call], model=TEXT),
        piece(finish_reason=TEXT, model=TEXT),
        usage(model=TEXT),
        "[DONE]",
    )(exchange)


EVIL_ERROR = status(500, {"error": {"message": TEXT, "code": TEXT, "type": TEXT}})


@pytest.fixture(scope="module")
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        entry = {"id": EVIL, "name": TEXT, "owned_by": TEXT, "object": TEXT}
        server.models_reply = status(200, {"object": "list", "data": [entry]})
        yield server


@pytest.fixture(scope="module")
def daemon(
    upstream: UpstreamServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DaemonProcess]:
    folder = tmp_path_factory.mktemp("s")
    folder.chmod(0o700)
    with daemon_process(folder, environ=asks(upstream, daemon_poll_interval="3600")) as running:
        running.ctl("models", "--refresh")
        yield running


def shown(daemon: DaemonProcess, *arguments: str) -> str:
    """Return what the command leaves on a terminal, on stdout and stderr."""
    with at_terminal([*CTL, *arguments], daemon.environ) as child:
        return rest_of(child)


def assert_harmless(text: str) -> None:
    """Check that TEXT is in *text*, and none of its commands."""
    assert MARK in text
    assert [each for each in FORBIDDEN if each in text] == []


@pytest.mark.parametrize(
    "command",
    [
        ["models"],
        ["models", "--refresh", "--json"],
        ["status"],
        ["status", "--json"],
        ["config", "--list-models"],
        ["select", EVIL, "--no-persist"],
    ],
    ids=lambda command: command[0] + command[-1].partition(MARK)[0],
)
def test_the_names_of_models(daemon: DaemonProcess, command: list[str]) -> None:
    assert_harmless(shown(daemon, *command))


@pytest.mark.parametrize(
    "command",
    [
        ["generate", "hi"],
        ["generate", "--json", "hi"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("reply", [_evil, EVIL_ERROR])
def test_answers_and_errors(
    daemon: DaemonProcess, upstream: UpstreamServer, command: list[str], reply: object
) -> None:
    assert callable(reply)
    upstream.script.append(reply)

    assert_harmless(shown(daemon, *command))


def test_an_error_of_vectors(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(EVIL_ERROR)

    assert_harmless(shown(daemon, "embed", "hi", "-m", EVIL))


@pytest.mark.parametrize("command", [["ps"], ["ps", "--json"]], ids=" ".join)
def test_what_runs(daemon: DaemonProcess, upstream: UpstreamServer, command: list[str]) -> None:
    upstream.script.append(silence())
    with closing(Dealer(daemon.endpoint)) as dealer:
        dealer.send(op="generate", id=1, prompt="x", client=EVIL[:64])
        upstream.wait_generation(len(upstream.generations) + 1)

        assert_harmless(shown(daemon, *command))


def test_what_happens(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    with at_terminal([*CTL, "events"], daemon.environ) as child:
        child.expect_exact('"models"')
        upstream.script.append(EVIL_ERROR)
        daemon.ctl("generate", "hi")
        child.expect_exact("upstream_error")
        told = (child.before or "") + str(child.after)
        child.sendintr()
        told += rest_of(child)

    assert_harmless(told)


def test_the_log(daemon: DaemonProcess) -> None:
    text = daemon.log()

    assert [each for each in FORBIDDEN if each in text] == []
