"""The blocking client: requests, typed results, typed errors, streams."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client, ClientError, DevsynthError
from devsynthctl.errors import BadReply, UnknownError
from devsynthd.wire.errors import BadRequest, ErrorCode, Incomplete, ModelNotFound, error_classes
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.replies import Progress
from devsynthd.wire.requests import Message
from tests.support.fake_daemon import FakeDaemon
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


def test_each_operation_gives_its_typed_result(socket_path: Path) -> None:
    answers = {
        "ping": PONG,
        "status": STATUS,
        "list": models(model("a", loaded=True)),
        "select": SELECTED,
        "generate": completion("Yes."),
        "load": LOADED,
        "unload": UNLOADED,
        "download": DOWNLOADED,
        "cancel": {"cancelled": True},
        "shutdown": {},
    }
    with FakeDaemon(socket_path, lambda daemon: daemon.serve(answers)), Client(socket_path) as ctl:
        assert ctl.ping().version == "9.8.7"
        assert ctl.status().queue.waiting == 2
        assert ctl.list().models[0].loaded is True
        assert ctl.select("a").previous is None
        assert ctl.generate("Is it?").text == "Yes."
        assert ctl.load("a").instance_id == "qwen/small:2"
        assert ctl.unload("a").instance_ids == ("qwen/small", "qwen/small:2")
        assert ctl.download("a").size_bytes == 2_100_000_000
        assert ctl.cancel(request=3) is True
        ctl.shutdown()


def test_what_is_asked_is_what_is_sent(socket_path: Path) -> None:
    answers = {
        "list": models(),
        "select": SELECTED,
        "generate": completion(""),
        "load": LOADED,
        "unload": UNLOADED,
        "download": DOWNLOADED,
        "shutdown": {},
    }
    with FakeDaemon(socket_path, lambda each: each.serve(answers)) as daemon:
        with Client(socket_path, name="editor/2") as ctl:
            ctl.list(refresh=True, max_age=3, since=4, loaded=True, kind="llm")
            ctl.select(None, persist=False, force=True)
            ctl.generate("Go", messages=[{"role": "user", "content": "x"}], max_tokens=5, wait=1)
            ctl.generate(messages=[Message(role="user", content="x")], temperature=0.1)
            ctl.load("a", context_length=8192)
            ctl.unload("a:2")
            ctl.download("a", quantization="Q4_K_M")
            ctl.shutdown(grace=2)
        sent = [daemon.seen.get() for _ in range(8)]

    assert len({each["id"] for each in sent}) == 8
    assert {each["client"] for each in sent} == {"editor/2"}
    assert {each["timeout"] for each in sent} == {None}
    expected: list[dict[str, Any]] = [
        {"refresh": True, "max_age": 3, "since": 4, "loaded": True, "kind": "llm"},
        {"model": None, "persist": False, "force": True},
        {"prompt": "Go", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5},
        {"prompt": None, "messages": [{"role": "user", "content": "x"}], "temperature": 0.1},
        {"op": "load", "model": "a", "context_length": 8192, "progress": False},
        {"op": "unload", "model": "a:2"},
        {"op": "download", "model": "a", "quantization": "Q4_K_M", "progress": False},
        {"grace": 2},
    ]
    for request, fields in zip(sent, expected, strict=True):
        assert request | fields == request


def test_a_timeout_is_sent_with_the_time_of_sending(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})) as daemon:
        with Client(socket_path, timeout=50) as ctl:
            ctl.ping()
            ctl.ping(timeout=9)
        of_client, of_request = daemon.seen.get(), daemon.seen.get()

    assert 49 < of_client["timeout"] <= 50
    assert 8 < of_request["timeout"] <= 9
    assert of_client["sent"] > 1_700_000_000


def test_fields_that_are_unknown_here_are_skipped(socket_path: Path) -> None:
    reply = PONG | {"mood": "fine"}
    with (
        FakeDaemon(socket_path, lambda each: each.serve({"ping": reply})),
        Client(socket_path) as c,
    ):
        assert c.ping().pid == 4321


@pytest.mark.parametrize("code", list(ErrorCode))
def test_an_error_is_raised_as_the_class_of_its_code(socket_path: Path, code: ErrorCode) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), code, hint="do this", details={"near": ["b"]})

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as ctl,
        pytest.raises(error_classes()[code]) as caught,
    ):
        ctl.cancel(request=1)

    assert (str(caught.value), caught.value.hint) == (f"it is {code}", "do this")
    assert caught.value.details == {"near": ["b"]}


def test_an_error_with_a_new_code_keeps_it(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "too_hot", retryable=True)

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as ctl,
        pytest.raises(UnknownError) as caught,
    ):
        ctl.ping()

    assert isinstance(caught.value, ClientError)
    assert (caught.value.code, caught.value.retryable) == ("too_hot", True)


def test_an_error_without_an_id_reaches_whoever_waits(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        body = (
            b"\x83\xa4type\xa5error\xa2id\xc0\xa5error\x82\xa4code\xabbad_request\xa7message\xa1x"
        )
        daemon.send_body(request["id"], body)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl, pytest.raises(BadRequest):
        ctl.ping()


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", b"HTTP/1.1 400", b"\x81\xa4type\xa6gossip"], ids=repr
)
def test_what_is_no_reply_is_refused(socket_path: Path, body: bytes) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.send_body(daemon.receive()["id"], body)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl, pytest.raises(BadReply):
        ctl.ping()


def test_a_result_of_another_shape_is_refused(socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, lambda each: each.serve({"ping": {"pid": "no"}})),
        Client(socket_path) as ctl,
        pytest.raises(BadReply),
    ):
        ctl.ping()


def test_a_request_that_is_too_large_is_not_sent(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG})) as daemon:
        with Client(socket_path) as ctl:
            with pytest.raises(BadRequest, match="the limit is"):
                ctl.generate("x" * MAX_BODY_BYTES)
            ctl.ping()
        assert daemon.seen.get()["op"] == "ping"


@pytest.mark.parametrize("messages", [[{"content": "no role"}], [{"role": "user", "tone": 1}], [7]])
def test_messages_of_another_form_are_not_sent(socket_path: Path, messages: list[Any]) -> None:
    with Client(socket_path) as ctl, pytest.raises(BadRequest, match="OpenAI form"):
        ctl.generate("hi", messages=messages)


def test_text_that_is_not_unicode_is_not_sent(socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, lambda each: each.serve({})),
        Client(socket_path) as ctl,
        pytest.raises(BadRequest, match="not Unicode"),
    ):
        ctl.generate("\udcff")


def test_a_stream_gives_chunks_and_then_the_result(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["stream"] is True
        for seq, text in enumerate(("Yes", ", ", "it is")):
            daemon.chunk(request, seq, text)
        daemon.result(request, completion("Yes, it is"))

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("Is it?")
        with pytest.raises(RuntimeError):
            _ = stream.result
        assert [chunk.text for chunk in stream] == ["Yes", ", ", "it is"]
        assert stream.result.text == "Yes, it is"
        assert list(stream) == []


def test_a_stream_skips_progress(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "loading", None)
        daemon.chunk(request, 0, "a")
        daemon.progress(request, "streaming", None)
        daemon.chunk(request, 1, "b")
        daemon.progress(request, "streaming", None)
        daemon.result(request, completion("ab"))

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        assert [chunk.text for chunk in ctl.stream("hi")] == ["a", "b"]


def test_progress_is_asked_for_and_told_where_somebody_listens(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for state, result in (("loading", LOADED), ("downloading", DOWNLOADED)):
            request = daemon.receive()
            assert request["progress"] is True
            for fraction in (None, 0.5, 1.0):
                daemon.progress(request, state, fraction)
            daemon.result(request, result)
        request = daemon.receive()
        daemon.progress(request, "loading", None)  # unasked
        daemon.result(request, LOADED)

    told: list[Progress] = []
    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        assert ctl.load("a", on_progress=told.append).load_time_s == 9.06
        assert ctl.download("a", on_progress=told.append).status == "completed"
        assert [(each.state, each.fraction) for each in told] == [
            (state, fraction)
            for state in ("loading", "downloading")
            for fraction in (None, 0.5, 1.0)
        ]
        assert ctl.load("a").model == "qwen/small"
    assert len(told) == 6


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ModelNotFound("another one's")], ids=repr)
def test_what_on_progress_raises_cancels_the_request(
    socket_path: Path, fault: BaseException
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "downloading", 0.5)
        cancel = daemon.receive()
        assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
        daemon.result(daemon.receive(), PONG)

    def listen(_progress: Progress) -> None:
        raise fault

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        with pytest.raises(type(fault)):
            ctl.download("a", on_progress=listen)
        assert ctl.ping().pid == 4321


def test_other_requests_go_between_the_chunks(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "a")
        ping = daemon.receive()
        daemon.chunk(request, 1, "b")
        daemon.result(request, completion("ab"))
        daemon.result(ping, PONG)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("hi")
        first = next(stream)
        assert ctl.ping().pid == 4321
        assert [first.text, *(chunk.text for chunk in stream)] == ["a", "b"]
        assert stream.result.text == "ab"


def test_a_stream_that_is_closed_early_is_cancelled(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            request = daemon.receive()
            daemon.chunk(request, 0, "a")
            cancel = daemon.receive()
            assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
            daemon.error(request, "cancelled")
            daemon.result(cancel, {"cancelled": True})
        daemon.result(daemon.receive(), PONG)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        with ctl.stream("hi") as stream:
            next(stream)
        assert list(stream) == []
        for _ in ctl.stream("hi"):
            break
        assert ctl.ping().pid == 4321


def test_a_lost_chunk_is_an_error_and_the_rest_is_cancelled(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "a")
        daemon.chunk(request, 2, "c")
        assert daemon.receive()["op"] == "cancel"

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("hi")
        assert next(stream).text == "a"
        with pytest.raises(Incomplete, match="chunk 1") as caught:
            next(stream)
    assert caught.value.details["text"] == "a"


def test_a_failing_stream_tells_what_came_before(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.error(request, "upstream_timeout")

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("hi")
        with pytest.raises(DevsynthError) as caught:
            list(stream)
        assert caught.value.details["text"] == "half an "
        with pytest.raises(RuntimeError):
            _ = stream.result


def test_an_error_leaves_the_client_usable(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "model_not_found")
        daemon.result(daemon.receive(), PONG)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        with pytest.raises(ModelNotFound):
            ctl.select("b")
        assert ctl.ping().pid == 4321


PROGRAM = """
import sys
from devsynthctl import Client, DevsynthError
with Client(sys.argv[1]) as client:
    client.ping()
    stream = client.stream("hi")
with Client(sys.argv[1] + "-nobody") as client:
    try:
        client.ping()
    except DevsynthError as exc:
        print(type(exc).__name__)
"""


def test_a_closed_client_leaves_nothing_open(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), PONG)
        daemon.wait_until_cancelled(daemon.receive())

    with FakeDaemon(socket_path, script):
        process = subprocess.run(
            [sys.executable, "-X", "dev", "-c", PROGRAM, str(socket_path)],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )

    assert (process.stdout, process.stderr) == ("DaemonUnreachable\n", "")


def test_a_number_that_no_message_holds_is_an_error_of_ours(socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, lambda daemon: daemon.serve({})),
        Client(socket_path) as ctl,
        pytest.raises(BadRequest, match="too large"),
    ):
        ctl.config_set("llm_max_tokens", 10**400)
