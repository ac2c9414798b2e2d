"""``models`` in pipes that others read, and on terminals that are too narrow for all of it."""

import subprocess
from pathlib import Path

import pytest

from tests.ctl.conftest import Run
from tests.support.event_daemon import EventDaemon
from tests.support.replies import SELECTION, SOURCE, STATUS, model, models
from tests.support.screens import screen_of

ID = "qwen/qwen3-4b-thinking-2507"
ODD = "odd\tid\nwith\x1b[2J all"
LISTED = models(
    model(ID, name="Qwen3 4B Thinking 2507", owner="qwen", loaded=True, quantization="Q4_K_M")
    | {"context_length": 262144, "selected": True},
    model("text-embedding-nomic-embed-text-v1.5", name="Nomic", kind="embedding", owner="nomic"),
    model(ODD, name="o\tdd", owner="\n"),
)
STOOD_IN = SELECTION | {"model": "local_model", "how": "fallback", "reason": "the engine answers"}
(WAITS,) = STATUS["requests"]


def piped_into(command: list[str], tool: str, *args: str) -> str:
    """Return what *tool* makes of the models."""
    listing = subprocess.run(
        [*command, "models"], capture_output=True, check=True, timeout=15
    ).stdout
    done = subprocess.run([tool, *args], input=listing, capture_output=True, check=True, timeout=15)
    return done.stdout.decode()


@pytest.fixture
def listing_daemon(socket_path: Path) -> EventDaemon:
    return EventDaemon(socket_path, {"list": LISTED})


def test_other_tools_can_rely_on_the_columns(
    command: list[str], listing_daemon: EventDaemon
) -> None:
    odd = "odd id with␛[2J all"
    with listing_daemon:
        ids = piped_into(command, "cut", "-f1").splitlines()
        loaded = piped_into(command, "awk", "-F\t", '$5 == "loaded" { print $1 }')
        selected = piped_into(command, "awk", "-F\t", '$8 == "*" { print $1 }')
        widths = piped_into(command, "awk", "-F\t", "{ print NF }").split()
        headless = piped_into(command, "tail", "-n", "+2")
    assert ids == ["id", ID, "text-embedding-nomic-embed-text-v1.5", odd]
    assert loaded == selected == f"{ID}\n"
    assert set(widths) == {"8"}
    assert headless.startswith(f"{ID}\t")


def test_ids_alone_are_fit_for_xargs(command: list[str], listing_daemon: EventDaemon) -> None:
    with listing_daemon:
        ids = subprocess.run(
            [*command, "models", "-q"], capture_output=True, check=True, timeout=15
        ).stdout
    done = subprocess.run(
        ["xargs", "-n", "1", "-d", "\n", "printf", "<%s>"],
        input=ids,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().startswith(f"<{ID}><text-embedding-")


def test_on_80_columns_no_id_is_broken(command: list[str], listing_daemon: EventDaemon) -> None:
    with listing_daemon, screen_of([*command, "models"]) as screen:
        assert screen.end() == 0
    header, first, second, third, *rest = screen.shown
    assert header.split() == ["id", "kind", "state", "context"]
    assert first.split() == ["*", ID, "llm", "loaded", "262144"]
    assert second.split() == ["text-embedding-nomic-embed-text-v1.5", "embedding", "unknown"]
    assert third.startswith("   odd id with␛[2J all ")
    assert set(rest) == {""}
    assert screen.wrapped == 0


@pytest.mark.parametrize(
    ("api", "remedy"),
    [
        ("lmstudio-v1", "devsynthctl download MODEL, or: lms get"),
        ("lmstudio-v0", "download one in LM Studio's own window, or: lms get"),
        ("openai", "give that server a model, as its own manual says"),
    ],
)
def test_an_empty_list_is_told(run: Run, socket_path: Path, api: str, remedy: str) -> None:
    empty = models(source=SOURCE | {"api": api})
    with EventDaemon(socket_path, {"list": empty}):
        process = run("models")
        loaded = run("models", "--loaded")
        as_json = run("models", "--json")
    told = f"devsynthctl: the server at {SOURCE['api_base']} lists no models: {remedy}\n"
    assert (process.returncode, process.stderr) == (0, told)
    assert (loaded.stderr, as_json.stderr) == ("", "")


def test_who_stands_in_is_told_beside_the_list(run: Run, socket_path: Path) -> None:
    stale = models(model("a"), selection=STOOD_IN)
    with EventDaemon(socket_path, {"list": stale}):
        process = run("models")
        ids = run("models", "-q")
        as_json = run("models", "--json")
    told = "devsynthctl: local_model would answer: the engine answers\n"
    assert process.stderr == ids.stderr == told
    assert ids.stdout == "a\n"
    assert as_json.stderr == ""


def test_on_80_columns_requests_keep_their_models_whole(
    command: list[str], socket_path: Path
) -> None:
    runs = WAITS | {"model": "text-embedding-nomic-embed-text-v1.5", "state": "downloading"}
    status = STATUS | {"requests": [runs | {"client": "some-editor-of-long-name/1.2.3"}]}
    with (
        EventDaemon(socket_path, {"status": status}),
        screen_of([*command, "ps"]) as screen,
    ):
        assert screen.end() == 0
    header, first, *rest = screen.shown
    assert header.split()[0] == "request"
    assert "text-embedding-nomic-embed-text-v1.5" in first.split()
    assert set(rest) == {""}
