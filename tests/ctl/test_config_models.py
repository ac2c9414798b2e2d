"""``config`` as DevSynth has it: the models listed, and one chosen from them."""

import json
from pathlib import Path

import pytest

from tests.ctl.conftest import Run
from tests.ctl.settings_replies import outcome, report, setting
from tests.ctl.test_command import serving
from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import SOURCE, STATUS, model, models

LISTING = models(
    model("a", owner="me", selected=True),
    model("b\x1b"),
    model("e", kind="embedding"),
    warnings=[{"code": "stale", "message": "it is old"}],
)


def test_the_models_are_listed_in_three_columns(
    run: Run, command: list[str], socket_path: Path
) -> None:
    with FakeDaemon(socket_path, serving(list=LISTING)):
        process = run("config", "--list-models")
        as_json = run("config", "--list-models", "--json")
        with at_terminal([*command, "--no-color", "config", "--list-models"]) as child:
            lines = rest_of(child).splitlines()
    assert process.stdout == "id\tname\towner\na\tA\tme\nb␛\tB␛\t\ne\tE\t\n"
    assert process.stderr == "devsynthctl: warning: it is old\n"
    assert json.loads(as_json.stdout) == LISTING
    assert [line.split() for line in lines[:2]] == [["id", "name", "owner"], ["a", "A", "me"]]


def test_listing_models_needs_a_daemon(run: Run) -> None:
    process = run("config", "--list-models")
    assert process.returncode == 3
    assert "start the daemon" in process.stderr


@pytest.mark.parametrize(
    ("answers", "chosen"), [(["2"], "b"), (["b"], "b"), (["3", "e", "x", "1"], "a")]
)
def test_the_key_of_the_model_asks_by_number_or_id(
    command: list[str], socket_path: Path, answers: list[str], chosen: str
) -> None:
    listing = models(model("a", selected=True), model("b"), model("e", kind="embedding"))

    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), listing)
        daemon.result(daemon.receive(), STATUS)
        request = daemon.receive()
        assert (request["op"], request["key"]) == ("config_set", "llm_model")
        assert request["value"] == chosen
        daemon.result(request, outcome("llm_model", chosen, chosen, "file"))

    with (
        FakeDaemon(socket_path, script),
        at_terminal([*command, "config", "--key", "llm_model"]) as child,
    ):
        child.expect_exact("* 1  a")
        child.expect_exact("  2  b")
        for answer in answers:
            child.expect_exact("Number or id")
            child.sendline(answer)
        shown = rest_of(child)
        assert child.exitstatus == 0
    assert f"llm_model = {chosen}\n" in shown
    assert "in force" in shown


@pytest.mark.parametrize(("key", "status"), [("\r", 0), ("\x04", 130), ("\x03", 130)])
def test_the_model_is_kept_if_nothing_is_answered(
    command: list[str], socket_path: Path, key: str, status: int
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.result(request, models(model("a")))
        daemon.wait_until_cancelled(request)  # it hangs up, and asks nothing more

    with (
        FakeDaemon(socket_path, script),
        at_terminal([*command, "config", "--key", "llm_model"]) as child,
    ):
        child.expect_exact("Number or id")
        child.send(key)
        assert "Traceback" not in rest_of(child)
        assert child.exitstatus == status


def test_a_stand_in_for_the_list_is_nothing_to_choose_from(
    command: list[str], socket_path: Path
) -> None:
    fallback = {"code": "fallback", "message": "no models could be listed: refused"}
    error = {"code": "upstream_unavailable", "message": "cannot reach it: refused"}
    source = SOURCE | {"reachable": False, "error": error}
    listing = models(model("local_model"), warnings=[fallback], source=source)
    with FakeDaemon(socket_path, serving(list=listing)):
        for args in (["config", "--key", "llm_model"], ["select"]):
            with at_terminal([*command, *args]) as child:
                shown = rest_of(child)
            assert child.exitstatus == 4
            assert "cannot reach it: refused" in shown
            assert "devsynthctl status" in shown


def test_an_upstream_without_models_leaves_nothing_to_choose_from(
    command: list[str], socket_path: Path
) -> None:
    with FakeDaemon(socket_path, serving(list=models())):
        for args in (["config", "--key", "llm_model"], ["select"]):
            with at_terminal([*command, *args]) as child:
                shown = rest_of(child)
            assert child.exitstatus == 5
            assert "there is no model to choose" in shown


def test_asking_for_a_model_needs_a_daemon(command: list[str], config_file: Path) -> None:
    with at_terminal([*command, "config", "--key", "llm_model"]) as child:
        shown = rest_of(child)
    assert child.exitstatus == 3
    assert "hint: start the daemon" in shown
    assert not config_file.exists()


@pytest.mark.parametrize("redirection", ["</dev/null", "2>/dev/null", "| cat"])
def test_the_model_is_not_asked_for_if_any_end_is_no_terminal(
    command: list[str], socket_path: Path, redirection: str
) -> None:
    told = report(setting("llm_model", "b", "file"))
    with (
        FakeDaemon(socket_path, serving(config_get=told, status=STATUS)),
        at_terminal(
            ["bash", "-c", f'"$@" {redirection}', "-", *command, "config", "--key", "llm_model"]
        ) as child,
    ):
        assert rest_of(child) == "b\n"


def test_the_model_is_not_asked_for_with_json(command: list[str], socket_path: Path) -> None:
    told = report(setting("llm_model", "b", "file"))
    with (
        FakeDaemon(socket_path, serving(config_get=told, status=STATUS)),
        at_terminal([*command, "config", "--key", "llm_model", "--json"]) as child,
    ):
        assert json.loads(rest_of(child)) == told
