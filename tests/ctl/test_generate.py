"""``generate``: its options, what it refuses, and what it writes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import completion

NO_TEXT = os.fsdecode(b"\xff")
"""A word of the command line that is not UTF-8."""
MANY_DIGITS = "9" * 5000
PNG = b"\x89PNG\r\n\x1a\nrest"
CALLS = [
    {"id": "a", "type": "function", "function": {"name": "now", "arguments": '{"zone":"é\x9b"}'}},
    {"id": "b", "type": "function", "function": {"name": "stop", "arguments": "{"}},
]


def answering(**fields: object) -> Script:
    return lambda daemon: daemon.serve({"generate": completion("Yes.") | fields})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the command runs in, with files to name."""
    monkeypatch.chdir(tmp_path)
    Path("schema.json").write_text('{"type": "object"}')
    Path("chat.json").write_text('[{"role": "user", "content": "I am Ada."}]')
    Path("cat.png").write_bytes(PNG)
    Path("not.png").write_bytes(b"text")
    Path("digits.json").write_text(f"[{MANY_DIGITS}]")
    Path("broken.json").write_text('{"type":\n "object"')
    return tmp_path


@pytest.mark.parametrize(
    ("args", "fields"),
    [
        (["hi"], {"stream": True, "progress": False, "raw": False, "background": False}),
        (["hi", "-o", "top_p=0.9", "-o", "seed=7"], {"top_p": 0.9, "seed": 7}),
        (["hi", "-o", "stop=a", "-ostop=b"], {"stop": ["a", "b"]}),
        (["hi", "-o", "extra.mirostat=2"], {"extra": {"mirostat": 2}}),
        (["hi", "-o", 'logit_bias={"5": -1}'], {"logit_bias": {"5": -1}}),
        (["hi", "-o", "tools=[]", "-o", "tool_choice=none"], {"tools": [], "tool_choice": "none"}),
        (["hi", "-o", "fallback=false"], {"fallback": False}),
        (["hi", "--schema", "schema.json"], {"schema": {"type": "object"}, "stream": True}),
        (["hi", "--schema", '{"type": "string"}'], {"schema": {"type": "string"}}),
        (["hi", "--background"], {"background": True}),
        (["--raw", " a ", "b\n"], {"raw": True, "prompt": " a  b\n", "suffix": None}),
        (["a", "--suffix", " z"], {"raw": True, "prompt": "a", "suffix": " z"}),
        (["--suffix", "z"], {"raw": True, "prompt": "", "suffix": "z"}),
        (["--suffix", "", "x"], {"raw": True, "prompt": "x", "suffix": ""}),
        (["--raw", ""], {"raw": True, "prompt": ""}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("files")
def test_options_become_fields(
    run: Run, socket_path: Path, args: list[str], fields: dict[str, Any]
) -> None:
    with FakeDaemon(socket_path, answering()) as daemon:
        process = run("generate", *args)
        assert (process.returncode, process.stderr) == (0, "")
        request = daemon.seen.get()
    assert request | fields == request


@pytest.mark.usefixtures("files")
def test_images_and_prompt_are_one_message_after_the_context(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering()) as daemon:
        process = run("generate", "what?", "-c", "chat.json", *["--image", "cat.png"] * 2)
        assert process.returncode == 0
        request = daemon.seen.get()
    assert request["prompt"] is None
    context, message = request["messages"]
    assert context["content"] == "I am Ada."
    assert message["role"] == "user"
    text, *images = message["content"]
    assert text == {"type": "text", "text": "what?"}
    assert [each["image_url"]["url"] for each in images] == [
        "data:image/png;base64,iVBORw0KGgpyZXN0"
    ] * 2


def test_a_raw_prompt_is_read_from_stdin_to_the_letter(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, answering()) as daemon:
        for args in (["--raw"], ["--suffix", "return x"]):
            assert run("generate", *args, stdin=" def f():\n\n").returncode == 0
            assert daemon.seen.get()["prompt"] == " def f():\n\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["hi", "-o", "top_p=5"], "-o top_p = 5 is not allowed: it takes a number from 0 to 1"),
        (["hi", "-o", "top_q=1"], "did you mean top_p?"),
        (["hi", "-o", "model=x"], "-o does not take model"),
        (["hi", "-o", "top_p"], "-o top_p has no value"),
        (["hi", "--schema", "none.json"], "none.json: No such file"),
        (["hi", "--schema", "broken.json"], "broken.json, line 2, column 10"),
        (["hi", "--schema", "{"], "--schema, line 1, column 2"),
        (["hi", "--image", "not.png"], "not.png is not an image"),
        (["hi", "--image", "none.png"], "none.png: No such file"),
        (["--image", "cat.png"], "--image needs a prompt"),
        (["--raw"], "there is nothing to ask"),
        (["hi", "--raw", "-s", "x"], "--raw sends the prompt as it is: it cannot go with -s"),
        (["hi", "--suffix", "x", "-c", "chat.json"], "--suffix sends the prompt as it is"),
        (["hi", "--raw", "--schema", "schema.json"], "cannot go with --schema"),
        (["hi", "--raw", "--image", "cat.png"], "cannot go with --image"),
        (["hi", "--raw", "-o", "tools=[]"], "cannot go with -o tools"),
        (["hi", "-o", f"top_p={NO_TEXT}"], "not UTF-8 text"),
        (["hi", "-o", f"tool_choice={NO_TEXT}"], "not UTF-8 text"),
        (["hi", "-o", f'tool_choice={{"type": "{NO_TEXT}"}}'], "not UTF-8 text"),
        (["hi", "-o", f"stop={NO_TEXT}"], "not UTF-8 text"),
        (["hi", "-o", NO_TEXT], "not UTF-8 text"),
        (["hi", "-s", NO_TEXT], "not UTF-8 text"),
        (["hi", "-m", NO_TEXT], "--model = '\\udcff' is not allowed"),
        (["hi", "--suffix", NO_TEXT], "not UTF-8 text"),
        (["hi", "--schema", f'{{"title": "{NO_TEXT}"}}'], "`schema` cannot be sent"),
        (["hi", "--schema", f'{{"maximum": {MANY_DIGITS}}}'], "number with too many digits"),
        (["hi", "-c", "digits.json"], "digits.json has a number with too many digits"),
        (["hi", "-o", f"seed={MANY_DIGITS}"], "-o seed"),
        (["hi", "-o", f"tools=[{MANY_DIGITS}]"], "-o tools"),
        (["hi", "-wh"], "no such option: -w"),
        (["-wh"], "no such option: -w"),
        (["hi", "-nwh"], "no such option: -w"),
    ],
    ids=lambda value: ascii(" ".join(value))[:60] if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("files")
def test_what_cannot_be_asked_is_wrong_usage(run: Run, args: list[str], told: str) -> None:
    process = run("generate", *args)
    assert (process.returncode, process.stdout) == (2, "")
    assert told in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize("args", [["-h"], ["hi", "-nh"], ["hi", "--help"], ["-o", "x=1", "-h"]])
def test_help_is_given_where_it_is_asked_for(run: Run, args: list[str]) -> None:
    process = run("generate", *args)
    assert (process.returncode, process.stderr) == (0, "")
    assert "--image FILE" in process.stdout


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
@pytest.mark.parametrize("text", ["", "Let me see."])
def test_tool_calls_follow_the_text_as_lines_of_json(
    run: Run, socket_path: Path, text: str, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        if request["stream"] and text:
            daemon.chunk(request, 0, text)
        daemon.result(request, completion(text, tool_calls=CALLS, finish_reason="tool_calls"))

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", *option)

    told, *calls = process.stdout.splitlines() if text else ["", *process.stdout.splitlines()]
    assert told == text
    assert [json.loads(line) for line in calls] == [
        {"id": "a", "name": "now", "arguments": '{"zone":"é\x9b"}'},
        {"id": "b", "name": "stop", "arguments": "{"},
    ]
    assert "\x9b" not in process.stdout
    assert process.stderr == ""


def test_reasoning_is_not_written_but_in_json(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "", reasoning="hm")
        daemon.chunk(request, 1, "Yes.")
        daemon.result(request, completion("Yes.", reasoning="hm"))
        daemon.result(daemon.receive(), completion("Yes.", reasoning="hm"))

    with FakeDaemon(socket_path, script):
        assert run("generate", "hi").stdout == "Yes.\n"
        assert json.loads(run("generate", "hi", "--json").stdout)["reasoning"] == "hm"


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
@pytest.mark.parametrize(
    ("reasoning", "told"),
    [(None, ""), ("hm", ", only reasoning: --json shows it")],
)
def test_an_answer_without_text_is_told(
    run: Run, socket_path: Path, option: list[str], reasoning: str | None, told: str
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        if request["stream"] and reasoning:
            daemon.chunk(request, 0, "", reasoning=reasoning)
        daemon.result(request, completion("", reasoning=reasoning))

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", *option)
    assert (process.returncode, process.stdout) == (0, "")
    assert process.stderr == f"devsynthctl: the answer has no text{told}\n"


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_what_came_before_an_error_is_written(
    run: Run, socket_path: Path, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        if request["stream"]:
            daemon.chunk(request, 0, "half an ")
        daemon.error(request, "deadline_exceeded", details={"text": "half an "})

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", *option)
    assert (process.stdout, process.returncode) == ("half an ", 6)
    assert process.stderr == "devsynthctl: it is deadline_exceeded\n"


def test_what_came_before_an_error_is_in_the_error_as_json(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "incomplete", details={"text": "half an "})

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", "--json")
    assert (process.stdout, process.returncode) == ("", 1)
    assert json.loads(process.stderr)["error"]["details"] == {"text": "half an "}


# Held to a schema ------------------------------------------------------------------------------


def test_an_answer_with_a_schema_is_written_when_it_is_known_to_be_good(
    run: Run, socket_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["stream"] is True
        daemon.chunk(request, 0, '```json\n{"a"')
        daemon.chunk(request, 1, ": 1}\n```")
        daemon.result(request, completion('{"a": 1}'))

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", "--schema", "{}")
    assert (process.returncode, process.stdout, process.stderr) == (0, '{"a": 1}\n', "")


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_an_answer_that_does_not_fit_its_schema_is_not_written_to_stdout(
    run: Run, socket_path: Path, option: list[str]
) -> None:
    text = '{"a":\n"\x1b[2J"}'

    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        if request["stream"]:
            daemon.chunk(request, 0, text)
        daemon.error(request, "upstream_error", hint="ask again", details={"text": text})

    with FakeDaemon(socket_path, script):
        process = run("generate", "hi", "--schema", "{}", *option)
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr == (
        "devsynthctl: it is upstream_error\n"
        "hint: ask again\n"
        "devsynthctl: this is what came of the answer:\n"
        '{"a":\n"␛[2J"}\n'
    )


def test_as_json_an_answer_that_does_not_fit_is_in_the_error_alone(
    run: Run, socket_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "upstream_error", details={"text": "x"})
        daemon.error(daemon.receive(), "model_not_found")

    with FakeDaemon(socket_path, script):
        as_json = run("generate", "hi", "--schema", "{}", "--json")
        without_text = run("generate", "hi", "--schema", "{}")
    assert (as_json.returncode, as_json.stdout) == (1, "")
    assert json.loads(as_json.stderr)["error"]["details"] == {"text": "x"}
    assert (without_text.returncode, without_text.stdout) == (5, "")
    assert without_text.stderr == "devsynthctl: it is model_not_found\n"
