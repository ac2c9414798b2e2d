"""``generate`` with all its options, and ``embed``, on a real daemon."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lmstudio import LMStudio
from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, daemon_process
from tests.support.person import at_terminal, rest_of
from tests.support.upstream_replies import (
    cut_after,
    events,
    piece,
    silence,
    text_piece,
    tokens,
    vectors,
)
from tests.support.upstream_server import UpstreamServer

PNG = b"\x89PNG\r\n\x1a\nrest"
SCHEMA = '{"type": "object", "required": ["city"]}'
TOOLS = '[{"type": "function", "function": {"name": "now", "parameters": {}}}]'


def test_parameters_reach_the_server(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    given = ["top_p=0.9", "seed=7", "stop=###", "extra.mirostat=2", 'logit_bias={"5": -1}']
    options = [word for each in given for word in ("-o", each)]

    outcome = daemon.ctl("generate", "hi", *options)

    assert (outcome.returncode, outcome.stderr) == (0, "")
    body = upstream.generations[0].body
    assert {key: body[key] for key in ("top_p", "seed", "stop", "mirostat", "logit_bias")} == {
        "top_p": 0.9,
        "seed": 7,
        "stop": ["###"],
        "mirostat": 2,
        "logit_bias": {"5": -1},
    }


def test_an_answer_is_held_to_the_schema_in_a_file(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    file = short_dir / "schema.json"
    file.write_text(SCHEMA)
    upstream.script.extend([tokens('{"city":', ' "Bonn"}'), tokens('{"town": 1}')])

    fits, does_not = (daemon.ctl("generate", "hi", "--schema", str(file)) for _ in range(2))

    assert (fits.returncode, fits.stdout) == (0, '{"city": "Bonn"}\n')
    sent = upstream.generations[0].body["response_format"]["json_schema"]["schema"]
    assert sent == json.loads(SCHEMA)
    assert (does_not.returncode, does_not.stdout) == (1, "")
    assert does_not.stderr.endswith('this is what came of the answer:\n{"town": 1}\n')


def test_an_image_is_sent_with_the_prompt(
    daemon: DaemonProcess, upstream: UpstreamServer, short_dir: Path
) -> None:
    file = short_dir / "cat.png"
    file.write_bytes(PNG)

    outcome = daemon.ctl("generate", "what is it?", "--image", str(file))

    assert outcome.returncode == 0
    (message,) = upstream.generations[0].body["messages"]
    text, image = message["content"]
    assert text["text"] == "what is it?"
    assert image["image_url"]["url"].endswith(base64.b64encode(PNG).decode())


def test_the_calls_of_tools_are_lines(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    call = {"index": 0, "id": "c1", "type": "function"}
    parts = [
        [call | {"function": {"name": "now", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"zone": '}}],
        [{"index": 0, "function": {"arguments": '"UTC"}'}}],
    ]
    pieces = [piece(tool_calls=part) for part in parts]
    upstream.script.append(events(*pieces, piece(finish_reason="tool_calls"), "[DONE]"))

    outcome = daemon.ctl("generate", "what time is it?", "-o", f"tools={TOOLS}")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    call_told = json.loads(outcome.stdout)
    assert call_told == {"id": "c1", "name": "now", "arguments": '{"zone": "UTC"}'}


def test_a_raw_prompt_is_gone_on_with(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(events(text_piece(" x", finish_reason="stop"), "[DONE]"))

    outcome = daemon.ctl("generate", "--raw", stdin="def f():\n")

    assert (outcome.returncode, outcome.stdout) == (0, " x\n")
    assert upstream.generations[0].path.endswith("/completions")
    assert upstream.generations[0].body["prompt"] == "def f():\n"


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_what_came_of_a_broken_answer_is_kept(
    daemon: DaemonProcess, upstream: UpstreamServer, option: list[str]
) -> None:
    upstream.script.append(cut_after("half an "))

    outcome = daemon.ctl("generate", "hi", *option)

    assert (outcome.returncode, outcome.stdout) == (1, "half an ")
    assert outcome.stderr.startswith("devsynthctl: ")


def test_a_person_sees_what_is_waited_for(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    environ = asks(upstream, daemon_max_concurrency="1")
    with daemon_process(short_dir, environ=environ) as daemon, daemon.start_ctl("generate", "1st"):
        upstream.wait_generation()
        with (
            daemon.start_ctl("generate", "2nd"),
            at_terminal([*CTL, "--no-color", "generate", "3rd"], daemon.environ) as child,
        ):
            child.expect("queued")
            daemon.ctl("cancel", "--all")
            rest_of(child)
            assert child.exitstatus == 130


# Vectors ---------------------------------------------------------------------------------------


def test_each_text_has_its_vector(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(vectors([0.5, 1.0], [-0.25, 2.0]))

    outcome = daemon.ctl("embed", "one", "two", "-m", "m")

    assert (outcome.returncode, outcome.stdout) == (0, "[0.5,1.0]\n[-0.25,2.0]\n")
    assert upstream.generations[0].body["input"] == ["one", "two"]


@pytest.fixture
def studio(short_dir: Path) -> Iterator[DaemonProcess]:
    """Return a daemon beside LM Studio, which has a model for text and one for vectors."""
    with LMStudio("v1", ["qwen/qwen3-4b", "text-embedding-nomic-embed-text-v1.5"]) as lmstudio:
        environ = asks(lmstudio.url, llm_provider="lmstudio")
        with daemon_process(short_dir, environ=environ) as running:
            yield running


def test_a_model_for_vectors_is_found(studio: DaemonProcess) -> None:
    outcome = studio.ctl("embed", "--json", stdin="line 1\nline 2\n")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    result = json.loads(outcome.stdout)
    assert "nomic" in result["model"]
    assert len(result["embeddings"]) == 1


def test_the_shells_model_is_not_one_for_vectors(studio: DaemonProcess) -> None:
    outcome = studio.ctl("embed", "x", environ={"DEVSYNTH_LLM_MODEL": "qwen/qwen3-4b"})

    assert (outcome.returncode, outcome.stderr) == (0, "")
