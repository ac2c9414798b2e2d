"""The real command, process by process: what it asks, writes, and exits with."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import (
    DOWNLOADED,
    LOADED,
    PONG,
    SELECTED,
    STATUS,
    UNLOADED,
    completion,
    model,
    models,
)

STALE = {"code": "stale", "message": "the list is 3 min old:\x1b[2J LM Studio is not reachable"}
EVIL = model(
    "evil", name="a\tb\nc\x1b]0;owned\x07", owner="\u202eme", context_length=4096, selected=True
)
LISTING = models(EVIL, model("plain", loaded=False, max_context_length=8192), warnings=[STALE])


def serving(**results: object) -> Script:
    return lambda daemon: daemon.serve(results)


def test_models_are_tab_separated_when_piped(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(list=LISTING)):
        process = run("models")

    assert process.stdout == (
        "id\tname\towner\tkind\tstate\tcontext\tquantization\tselected\n"
        "evil\ta b c␛]0;owned␇\t\N{REPLACEMENT CHARACTER}me\tllm\tunknown\t4096\t\t*\n"
        "plain\tPlain\t\tllm\tnot loaded\t8192\t\t\n"
    )
    assert process.stderr == (
        "devsynthctl: warning: the list is 3 min old:␛[2J LM Studio is not reachable\n"
    )
    assert process.returncode == 0


def test_models_quiet_are_bare_ids(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(list=LISTING)):
        assert run("models", "-q").stdout == "evil\nplain\n"


@pytest.mark.parametrize("args", [["--json", "models"], ["models", "--json"]])
def test_json_is_the_whole_result_and_nothing_else(
    run: Run, socket_path: Path, args: list[str]
) -> None:
    listing = LISTING | {"new_field": [1.5, None, {"deep": "\u202e\x7f\x85"}]}
    with FakeDaemon(socket_path, serving(list=listing)):
        process = run(*args)

    assert json.loads(process.stdout) == listing
    assert process.stdout.endswith("}\n")
    assert process.stdout.count("\n") == 1
    assert not {"\u202e", "\x7f", "\x85", "\x1b"} & set(process.stdout)
    assert process.stderr == ""


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (["models"], {"op": "list", "refresh": False, "loaded": False, "kind": None}),
        (
            ["models", "--refresh", "--loaded", "--kind", "embedding"],
            {"refresh": True, "loaded": True, "kind": "embedding"},
        ),
        (["select", "a b"], {"op": "select", "model": "a b", "persist": True, "force": False}),
        (["select", "--auto", "--no-persist"], {"model": None, "persist": False}),
        (["select", "x", "--force"], {"model": "x", "force": True}),
        (["generate", "why", "-5"], {"op": "generate", "prompt": "why -5", "stream": True}),
        (["generate", "--", "--modle", "-n"], {"prompt": "--modle -n"}),
        (
            ["generate", "-m", "a", "-s", "be brief", "hi", "--max-tokens", "-1"],
            {"model": "a", "system": "be brief", "max_tokens": -1, "temperature": None},
        ),
        (
            ["generate", "hi", "--temperature", "0.5", "--wait", "3"],
            {"temperature": 0.5, "wait": 3},
        ),
        (["generate", "hi", "--no-stream"], {"stream": False}),
        (["--json", "generate", "hi"], {"stream": False}),
        (["load", "a"], {"op": "load", "model": "a", "context_length": None, "progress": False}),
        (["load", "a", "--context-length", "8192"], {"context_length": 8192}),
        (["unload", "a:2"], {"op": "unload", "model": "a:2"}),
        (["download", "a"], {"op": "download", "quantization": None, "progress": False}),
        (["download", "a", "--quantization", "Q8_0"], {"model": "a", "quantization": "Q8_0"}),
        (["shutdown"], {"op": "shutdown", "grace": None}),
        (["shutdown", "--grace", "0"], {"grace": 0}),
        (["status"], {"op": "status", "timeout": None, "client": "devsynthctl/0.1.0"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_become_fields(
    run: Run, socket_path: Path, args: list[str], fields: dict[str, Any]
) -> None:
    answers = serving(
        list=LISTING,
        select=SELECTED,
        generate=completion(""),
        load=LOADED,
        unload=UNLOADED,
        download=DOWNLOADED,
        shutdown={},
        status=STATUS,
    )
    with FakeDaemon(socket_path, answers) as daemon:
        assert run(*args).returncode == 0
        request = daemon.seen.get()
    assert request | fields == request


def test_a_timeout_is_passed_on(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(ping=PONG)) as daemon:
        assert run("--timeout", "30", "ping").returncode == 0
        assert 29 < daemon.seen.get()["timeout"] <= 30


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["generate", "--modle", "x", "hi"], "no such option: --modle (did you mean --model?"),
        (["generate", "-n5", "hi"], "no such option: -5"),
        (["generate", "-x", "hi"], "no such option: -x"),
        (["generate"], "there is nothing to ask"),
        (["generate", " "], "there is nothing to ask"),
        (["generate", b"\xff".decode(errors="surrogateescape")], "not UTF-8"),
        (["generate", "hi", "--temperature", "3"], "--temperature"),
        (["--timeout", "0", "ping"], "--timeout"),
        (["ping", "--wait", "nan"], "not a number of seconds"),
        (["select"], "which model?"),
        (["select", "a", "--auto"], "not both"),
        (["load"], "MODEL"),
        (["load", b"\xff".decode(errors="surrogateescape")], "not UTF-8"),
        (["select", b"\xff".decode(errors="surrogateescape")], "not UTF-8"),
        (["load", "a", "--context-length", "0"], "--context-length"),
        (["modles"], "modles"),
        (["models", "--kind", "big"], "--kind"),
    ],
    ids=repr,
)
def test_usage_errors_are_told_without_asking_the_daemon(
    run: Run, args: list[str], message: str
) -> None:
    process = run(*args)
    assert process.returncode == 2
    assert process.stdout == ""
    assert message in process.stderr
    assert process.stderr.startswith("devsynthctl: ")

    as_json = run("--json", *args)
    assert (as_json.returncode, as_json.stdout) == (2, "")
    assert message in json.loads(as_json.stderr)["error"]["message"]


def test_without_a_command_the_help_comes_and_the_exit_status_says_so(run: Run) -> None:
    process = run()
    assert (process.returncode, process.stdout) == (2, "")
    assert "Commands:" in process.stderr
    assert run("--help").returncode == 0


def test_errors_of_the_daemon_are_told_with_their_hint(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            daemon.error(daemon.receive(), "model_not_found", hint="list\x1b[2J the models")

    with FakeDaemon(socket_path, script):
        process = run("select", "a")
        assert process.stderr == "devsynthctl: it is model_not_found\nhint: list␛[2J the models\n"
        assert (process.returncode, process.stdout) == (5, "")

        as_json = run("select", "a", "--json")
        assert json.loads(as_json.stderr) == {
            "error": {
                "code": "model_not_found",
                "message": "it is model_not_found",
                "hint": "list\x1b[2J the models",
                "retryable": False,
                "details": {},
            }
        }
        assert (as_json.returncode, as_json.stdout) == (5, "")


def test_a_daemon_that_is_not_there_is_exit_status_3(run: Run) -> None:
    process = run("status")
    assert process.returncode == 3
    assert "hint: start the daemon: devsynthd" in process.stderr


def test_an_address_that_cannot_be_is_exit_status_78(run: Run) -> None:
    assert run("--socket", "tcp://127.0.0.1:5555", "ping").returncode == 78


def test_ping_waits_for_the_daemon(command: list[str], socket_path: Path) -> None:
    process = subprocess.Popen(
        [*command, "ping", "--wait", "10"], stdout=subprocess.PIPE, text=True
    )
    with FakeDaemon(socket_path, serving(ping=PONG)):
        output, _ = process.communicate(timeout=15)
    assert output.startswith("pong from devsynthd 9.8.7 (pid 4321) in ")
    assert process.returncode == 0


def test_status_is_a_line_a_value_when_piped(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(status=STATUS)):
        lines = run("status").stdout.splitlines()
    values = dict(line.split("\t") for line in lines)
    assert values["pid"] == "4321"
    assert values["source.reachable"] == "true"
    assert values["source.error"] == ""
    assert values["config.overrides"] == "llm_model,llm_api_base"
    assert values["requests.0.model"] == "qwen/small"
    assert values["totals.errors.no_model"] == "2"


def test_select_tells_what_answers_now(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(select=SELECTED)):
        process = run("select", "qwen/small")
    assert process.stdout == "qwen/small (selected: as told)\n"
    assert process.stderr == "devsynthctl: warning: it holds until the daemon ends\n"


def streaming(*texts: str, **fields: object) -> Script:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        for seq, text in enumerate(texts):
            daemon.chunk(request, seq, text)
        daemon.result(request, completion("".join(texts)) | fields)

    return script


@pytest.mark.parametrize(
    ("texts", "output"),
    [
        (["Yes", ", it is"], "Yes, it is\n"),
        (["It ends\n", "\n"], "It ends\n\n"),
        (["\x1b[1m", "tab\t", "cr\r\n", "é\u202e"], "\x1b[1mtab\tcr\r\né\u202e\n"),
    ],
)
@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_generated_text_is_piped_to_the_letter(
    command: list[str], socket_path: Path, texts: list[str], output: str, option: list[str]
) -> None:
    with FakeDaemon(socket_path, streaming(*([] if option else texts), text="".join(texts))):
        process = subprocess.run(
            [*command, "generate", "hi", *option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            timeout=15,
        )
    assert (process.stdout.decode(), process.stderr) == (output, b"")


def test_generated_text_is_written_as_it_comes(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "first")
        assert daemon.go.wait(10)
        daemon.result(request, completion("first"))

    with FakeDaemon(socket_path, script) as daemon:
        process = subprocess.Popen(
            [*command, "generate", "hi", "-n"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.read(5) == "first"
        daemon.go.set()
        assert process.stdout.read() == "\n"
        process.stdout.close()
        assert process.wait(10) == 0


def test_generate_tells_what_a_person_should_know(run: Run, socket_path: Path) -> None:
    warning = {"code": "truncated", "message": "cut off at 5 tokens (llm_max_tokens)"}
    with FakeDaemon(socket_path, streaming("so", warnings=[warning])):
        process = run("generate", "hi")
    assert process.stdout == "so\n"
    assert process.stderr == "devsynthctl: warning: cut off at 5 tokens (llm_max_tokens)\n"


def test_generate_tells_an_error_after_the_text_so_far(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.error(request, "incomplete")

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi")
    assert (process.stdout, process.returncode) == ("half an ", 1)
    assert process.stderr == "devsynthctl: it is incomplete\n"


@pytest.mark.parametrize(
    ("args", "stdin", "prompt"),
    [
        ([], "from a pipe\n", "from a pipe"),
        (["sum", "up:"], "line 1\nline 2\n", "sum up:\n\nline 1\nline 2"),
        (["alone"], "", "alone"),
        (["alone"], "\n", "alone"),
        (["alone", "-n"], "not read", "alone"),
        ([], "  indented\n\n", "  indented"),
    ],
)
def test_the_prompt_is_made_of_arguments_and_stdin(
    run: Run, socket_path: Path, args: list[str], stdin: str, prompt: str
) -> None:
    with FakeDaemon(socket_path, serving(generate=completion(""))) as daemon:
        assert run("generate", *args, stdin=stdin).returncode == 0
        assert daemon.seen.get()["prompt"] == prompt


def test_stdin_that_is_no_text_is_refused(command: list[str]) -> None:
    process = subprocess.run(
        [*command, "generate"], input=b"ab\xff", capture_output=True, check=False, timeout=15
    )
    assert process.returncode == 2
    assert b"stdin is not UTF-8 text: byte 0xff at position 2" in process.stderr


def test_stdin_that_cannot_be_read_is_none(command: list[str], socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, serving(generate=completion("Yes."))) as daemon,
        Path("/dev/null").open("w") as write_only,  # as nohup leaves it on a terminal
    ):
        process = subprocess.run(
            [*command, "generate", "--no-stream", "hi"],
            stdin=write_only,
            capture_output=True,
            check=False,
            timeout=15,
        )
        assert (process.returncode, process.stdout) == (0, b"Yes.\n")
        assert daemon.seen.get()["prompt"] == "hi"


def test_messages_come_from_a_file(run: Run, socket_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_text('[{"role": "user", "content": "I am Ada."}]')
    with FakeDaemon(socket_path, serving(generate=completion(""))) as daemon:
        assert run("generate", "-c", str(file)).returncode == 0
        request = daemon.seen.get()
    assert request["messages"] == [{"role": "user", "content": "I am Ada."}]
    assert request["prompt"] is None


def test_the_caller_s_environment_stands_in_for_options(
    run: Run, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "from-env")
    monkeypatch.setenv("DEVSYNTH_LLM_MAX_TOKENS", "7")
    with FakeDaemon(socket_path, serving(generate=completion(""))) as daemon:
        assert run("generate", "hi", "--max-tokens", "9").returncode == 0
        request = daemon.seen.get()
    assert (request["model"], request["max_tokens"]) == ("from-env", 9)

    monkeypatch.setenv("DEVSYNTH_LLM_TEMPERATURE", "hot")
    process = run("generate", "hi")
    assert process.returncode == 78
    assert "DEVSYNTH_LLM_TEMPERATURE" in process.stderr


def test_a_pipe_that_closes_ends_it_in_silence(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "one\n")
        assert daemon.go.wait(10)
        for seq in range(1, 4):
            daemon.chunk(request, seq, "more\n")
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon:
        process = subprocess.Popen(
            [*command, "generate", "hi", "-n"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"one\n"
        process.stdout.close()
        daemon.go.set()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(10) == 141


def test_a_table_into_a_closed_pipe_ends_in_silence(command: list[str], socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(list=LISTING)):
        process = subprocess.run(
            ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "-", *command, "models", "-q"],
            capture_output=True,
            check=False,
            timeout=15,
        )
    # `true` may also end after everything was written.
    assert (process.stdout, process.returncode in (0, 141)) == (b"", True)
    assert b"Exception" not in process.stderr


@pytest.mark.parametrize("option", [[], ["--no-stream"], ["--json"]])
def test_ctrl_c_cancels(command: list[str], socket_path: Path, option: list[str]) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.go.set()
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon:
        process = subprocess.Popen(
            [*command, "generate", "hi", "-n", *option],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert daemon.go.wait(10)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (130, "")
    if "--json" in option:
        assert json.loads(errors)["error"]["code"] == "cancelled"
    else:
        assert errors == ""


@pytest.mark.parametrize(
    ("closed", "status"), [("<&-", 0), (">&-", 0), ("2>&-", 0), (">/dev/full", 1)]
)
def test_closed_and_full_streams_are_no_crash(
    command: list[str], socket_path: Path, closed: str, status: int
) -> None:
    with FakeDaemon(socket_path, serving(list=LISTING)):
        process = subprocess.run(
            ["bash", "-c", f'"$@" {closed}', "-", *command, "models"],
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )
    assert process.returncode == status
    assert "Traceback" not in process.stderr
    assert "Exception" not in process.stderr


@pytest.mark.parametrize(
    ("op", "result", "line"),
    [
        ("load", LOADED, "loaded qwen/small as qwen/small:2 in 9.1 s\n"),
        ("unload", UNLOADED, "unloaded qwen/small, qwen/small:2\n"),
        ("download", DOWNLOADED, "downloaded qwen/small (2.1 GB)\n"),
    ],
)
def test_what_was_loaded_is_one_line_and_no_progress_is_drawn_into_a_pipe(
    run: Run, socket_path: Path, op: str, result: dict[str, Any], line: str
) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            request = daemon.receive()
            daemon.progress(request, "loading", 0.5)
            daemon.result(request, result)

    with FakeDaemon(socket_path, script):
        process = run(op, "qwen/small")
        as_json = run(op, "qwen/small", "--json")
    assert (process.stdout, process.stderr, process.returncode) == (line, "", 0)
    assert (json.loads(as_json.stdout), as_json.stderr) == (result, "")


@pytest.mark.parametrize("option", [[], ["--json"]])
@pytest.mark.parametrize(
    ("op", "doing"),
    [("load", "LM Studio may go on loading"), ("download", "may go on downloading")],
)
def test_ctrl_c_ends_the_wait_and_tells_that_lm_studio_may_go_on(
    command: list[str], socket_path: Path, op: str, doing: str, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.go.set()
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon:
        process = subprocess.Popen(
            [*command, op, "a", *option], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert daemon.go.wait(10)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
    assert (process.returncode, output) == (130, "")
    if option:
        error = json.loads(errors)["error"]
        assert error["code"] == "cancelled"
        assert doing in error["message"]
    else:
        assert errors.startswith("devsynthctl: no longer waiting for a; ")
        assert doing in errors


MODULES = """
import sys
from devsynthctl.cli import run
status = run(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""


EMBEDDINGS = {"model": "e", "embeddings": [[1.0]], "usage": None, "warnings": []}


@pytest.mark.parametrize(
    "args", [["models"], ["load", "a"], ["embed", "a"], ["ps"], ["cancel", "--all"]], ids=" ".join
)
def test_nothing_slow_is_imported_for_a_pipe(
    command: list[str], socket_path: Path, args: list[str]
) -> None:
    answers = serving(
        list=models(model("a")),
        load=LOADED,
        embed=EMBEDDINGS,
        status=STATUS,
        cancel={"cancelled": True},
    )
    with FakeDaemon(socket_path, answers):
        process = subprocess.run(
            [command[0], "-c", MODULES, *command[3:], *args],
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
        )
    loaded = set(process.stderr.split())
    slow = {"asyncio", "devsynthd.settings", "http", "platformdirs", "requests", "rich"}
    slow |= {"subprocess", "tomlkit", "urllib3", "watchfiles", "zmq.asyncio"}
    assert loaded & slow == set()
    assert "devsynthd.wire.codec" in loaded


def test_nothing_that_draws_is_imported_for_an_answer_into_a_pipe(
    command: list[str], socket_path: Path
) -> None:
    with FakeDaemon(socket_path, serving(generate=completion("Yes."))):
        process = subprocess.run(
            [command[0], "-c", MODULES, *command[3:], "generate", "hi", "-n"],
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
        )
    loaded = set(process.stderr.split())
    assert loaded & {"asyncio", "devsynthctl.render.waiting", "requests", "rich"} == set()


def test_the_public_names_load_when_they_are_used(command: list[str]) -> None:
    program = (
        "import sys, devsynthctl\n"
        "assert 'zmq' not in sys.modules\n"
        "for name in devsynthctl.__all__: getattr(devsynthctl, name)\n"
        "assert set(devsynthctl.__all__) <= set(dir(devsynthctl))\n"
        "assert not hasattr(devsynthctl, 'Klient')\n"
    )
    subprocess.run([command[0], "-c", program], check=True, timeout=15)
