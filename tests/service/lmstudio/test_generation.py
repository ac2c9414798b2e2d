"""What a generation at LM Studio can ask for, and what it is protected from."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import DevsynthError, NotSupported, UpstreamError
from tests.lmstudio import Answer, LMStudio, Model, ToolCall, faults, paths
from tests.lmstudio.models import LoadConfig
from tests.lmstudio.script import Fault
from tests.service.asking import AnyDict, error, result, until_answered, wait_queue
from tests.service.lmstudio.asking import (
    EMBEDDER,
    GEMMA,
    QWEN,
    RARELY_S,
    asked_models,
    codes,
    refreshed,
    wait_list,
)
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}

# Reasoning, tools, schemas -----------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_are_kept_apart(
    daemon: RunningDaemon, studio: LMStudio, field: str, *, stream: bool
) -> None:
    """F24: under either name, in the result and in the chunks."""
    studio.next_answer(
        Answer(
            texts=("Yes", "."),
            reasoning=("Let me", " think."),
            reasoning_as="reasoning" if field == "reasoning" else "reasoning_content",
        )
    )
    dealer = daemon.dealer()
    dealer.send(op="generate", id=1, prompt="x", model=QWEN, stream=stream)

    *chunks, last = until_answered(dealer, 1)

    assert (result(last)["text"], result(last)["reasoning"]) == ("Yes.", "Let me think.")
    assert joined(chunks, "text") == ("Yes." if stream else "")
    assert joined(chunks, "reasoning") == ("Let me think." if stream else "")


def joined(chunks: list[AnyDict], field: str) -> str:
    return "".join(chunk.get(field, "") for chunk in chunks)


def test_thoughts_in_the_text_are_left_there(client: Client, studio: LMStudio) -> None:
    """F24: what the upstream does not separate is text."""
    studio.next_answer(Answer(texts=("Yes",), reasoning=("Hm",), reasoning_as="think"))

    completion = client.generate("x", model=QWEN)

    assert (completion.text, completion.reasoning) == ("<think>Hm</think>Yes", None)


def test_tool_calls_with_empty_ids_are_streamed(daemon: RunningDaemon, studio: LMStudio) -> None:
    """F25."""
    call = ToolCall(name="weather", arguments=('{"city"', ': "Bonn"}'), id="")
    studio.next_answer(Answer(texts=(), tool_calls=(call, ToolCall(name="now"))))
    dealer = daemon.dealer()
    dealer.send(op="generate", id=1, prompt="x", model=QWEN, stream=True)

    *chunks, last = until_answered(dealer, 1)

    weather, now = result(last)["tool_calls"]
    assert weather["function"] == {"name": "weather", "arguments": '{"city": "Bonn"}'}
    assert now["function"] == {"name": "now", "arguments": "{}"}
    assert weather["id"]
    assert weather["id"] != now["id"]
    parts = [part for chunk in chunks for part in chunk["tool_calls"]]
    assert parts[0]["id"] == weather["id"]
    arguments = [part["function"].get("arguments", "") for part in parts if part["index"] == 0]
    assert "".join(arguments) == weather["function"]["arguments"]


def test_schema_is_sent_in_the_form_that_lm_studio_takes(client: Client, studio: LMStudio) -> None:
    """F26: ``json_object`` is refused by every version, ``json_schema`` is not."""
    studio.says('{"n"', ": 5}")

    assert json.loads(client.generate("x", model=QWEN, schema=SCHEMA).text) == {"n": 5}

    (chat,) = studio.requests(path=paths.CHAT)
    assert chat.body["response_format"]["type"] == "json_schema"
    with pytest.raises(DevsynthError, match="response_format"):
        client.generate("x", model=QWEN, extra={"response_format": {"type": "json_object"}})
    assert len(studio.requests(path=paths.CHAT)) == 1


def test_answer_that_breaks_the_schema_is_told(client: Client, studio: LMStudio) -> None:
    """F26: small models may fail."""
    studio.says('{"n": "five"}')

    with pytest.raises(UpstreamError) as caught:
        client.generate("x", model=QWEN, schema=SCHEMA)

    assert caught.value.details == {"text": '{"n": "five"}', "path": "$.n"}


# Raw prompts -------------------------------------------------------------------------------


def test_raw_prompt_has_no_template(client: Client, studio: LMStudio) -> None:
    studio.says(" upon", " a time")

    completion = client.generate("Once", raw=True, model=QWEN)

    assert completion.text == " upon a time"
    (request,) = studio.requests(path=paths.COMPLETIONS)
    assert request.body["prompt"] == "Once"
    assert "messages" not in request.body


@pytest.mark.parametrize("honours", [False, True])
def test_gap_is_never_filled_by_guess(client: Client, studio: LMStudio, *, honours: bool) -> None:
    """LM Studio is not known to honour a suffix: an answer that ignored it would be wrong."""
    studio.quirks.honours_suffix = honours

    with pytest.raises(NotSupported) as caught:
        client.generate("def f(", raw=True, suffix="): pass", model=QWEN)

    assert caught.value.hint
    assert studio.requests(method="POST") == []


# Retries -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [faults.reloaded(), faults.unloaded(), faults.crashed()])
def test_model_that_went_away_is_asked_once_more(
    client: Client, studio: LMStudio, fault: Fault
) -> None:
    """F11, F13: before the first word, and after a look at the list."""
    refreshed(client)
    lists = len(studio.requests(path=paths.MODELS_V1))
    studio.next_fault(fault, path=paths.CHAT)
    studio.says("Hello")

    assert client.generate("x", model=QWEN).text == "Hello"

    assert asked_models(studio) == [QWEN, QWEN]
    assert len(studio.requests(path=paths.MODELS_V1)) > lists


def test_model_that_crashes_twice_is_told(client: Client, studio: LMStudio) -> None:
    """F11: at most one retry."""
    studio.next_fault(faults.crashed(), path=paths.CHAT, times=2)

    with pytest.raises(UpstreamError, match="crashed") as caught:
        client.generate("x", model=QWEN)

    assert studio.url in str(caught.value)
    assert "log" in (caught.value.hint or "")
    assert len(asked_models(studio)) == 2


def test_model_that_was_evicted_in_silence_is_asked_once_more(
    daemon: RunningDaemon, studio: LMStudio
) -> None:
    """F13: while it reads the prompt, nothing has been said yet."""
    studio.load(QWEN)
    prompt = Gate()
    studio.next_answer(Answer(prompt=prompt))
    studio.says("Hello")
    dealer = daemon.dealer()
    dealer.send(op="generate", id=1, prompt="x", model=QWEN)
    studio.wait_request(path=paths.CHAT)
    wait_queue(daemon.dealer(), running=1, waiting=0)

    studio.evict(QWEN)

    (last,) = until_answered(dealer, 1)
    assert result(last)["text"] == "Hello"
    assert asked_models(studio) == [QWEN, QWEN]


@pytest.mark.parametrize(
    "fault",
    [
        faults.plain_error("Channel Error"),
        faults.plain_error("Error rendering prompt with jinja template: no"),
        faults.overflow(),
        faults.stream_error("Model unloaded.", after=["Hel"]),
    ],
)
def test_what_may_have_been_done_or_will_not_pass_is_not_repeated(
    client: Client, studio: LMStudio, fault: Fault
) -> None:
    """R10, F12, F14."""
    studio.next_fault(fault, path=paths.CHAT)

    with pytest.raises(DevsynthError):
        client.generate("x", model=QWEN)

    assert len(asked_models(studio)) == 1


# Places ------------------------------------------------------------------------------------


@contextmanager
def roomy(folder: Path, *models: str) -> Iterator[tuple[LMStudio, RunningDaemon]]:
    """Yield an LM Studio with *models*, and a daemon that leaves the limits to it."""
    with (
        LMStudio("v1", models) as studio,
        start_daemon(
            folder,
            studio.url,
            llm_provider="lmstudio",
            daemon_poll_interval=RARELY_S,
            daemon_max_concurrency=8,
        ) as daemon,
    ):
        yield studio, daemon


def test_no_more_run_in_an_instance_than_it_has_places(short_dir: Path) -> None:
    """F19, R11: the rest waits in the daemon, where it can be seen and cancelled."""
    with roomy(short_dir, QWEN, GEMMA) as (studio, daemon):
        studio.load(QWEN).config = LoadConfig(context_length=4096, parallel=2)
        studio.load(GEMMA).config = LoadConfig(context_length=4096, parallel=1)
        refreshed(daemon.client())
        dealer = daemon.dealer()
        gates = [Gate() for _ in range(8)]
        for gate in gates:
            studio.says("x", gate=gate)
        for number in range(4):
            dealer.send(op="generate", id=f"q{number}", prompt="x", model=QWEN)
        for number in range(2):
            dealer.send(op="generate", id=f"g{number}", prompt="x", model=GEMMA)

        studio.wait_request(3, path=paths.CHAT)
        report = wait_queue(daemon.dealer(), running=3, waiting=3)

        assert Counter(asked_models(studio)) == {QWEN: 2, GEMMA: 1}
        waiting = [each["id"] for each in report["requests"] if each["state"] == "queued"]
        assert sorted(waiting) == ["g1", "q2", "q3"]
        dealer.send(op="cancel", id="c", target="q2")
        until_answered(dealer, "q2", "c")
        for gate in gates[:3]:
            gate.step(2)
        studio.wait_request(5, path=paths.CHAT)
        for gate in gates[3:5]:
            gate.step(2)
        until_answered(dealer, "q0", "q1", "q3", "g0", "g1")
        assert Counter(asked_models(studio)) == {QWEN: 3, GEMMA: 2}


def test_more_places_are_used_as_soon_as_they_are_listed(
    daemon: RunningDaemon, studio: LMStudio
) -> None:
    """R11."""
    instance = studio.load(QWEN)
    instance.config = LoadConfig(context_length=4096, parallel=1)
    refreshed(daemon.client())
    gates = [Gate(), Gate()]
    for gate in gates:
        studio.says("x", gate=gate)
    dealer = daemon.dealer()
    for number in range(2):
        dealer.send(op="generate", id=number, prompt="x", model=QWEN)
    studio.wait_request(path=paths.CHAT)
    wait_queue(daemon.dealer(), running=1, waiting=1)

    instance.config = LoadConfig(context_length=4096, parallel=2)
    refreshed(daemon.client())

    studio.wait_request(2, path=paths.CHAT)
    wait_queue(daemon.dealer(), running=2, waiting=0)
    for gate in gates:
        gate.step(2)
    until_answered(dealer, 0, 1)


def test_what_waits_follows_its_model_to_another_instance(short_dir: Path) -> None:
    """R11: when an instance goes, what waited for it is no more than the other one takes."""
    with roomy(short_dir, QWEN) as (studio, daemon):
        first, second = studio.load(QWEN), studio.load(QWEN)
        first.config = second.config = LoadConfig(context_length=4096, parallel=1)
        refreshed(daemon.client())
        dealer, gates = daemon.dealer(), [Gate() for _ in range(6)]
        for gate in gates:
            studio.says("x", gate=gate)
        for number in range(4):
            dealer.send(op="generate", id=number, prompt="x", model=QWEN)
        studio.wait_request(path=paths.CHAT)
        wait_queue(daemon.dealer(), running=1, waiting=3)

        studio.world.unload(first)  # its first word has not come: it waits to be asked once more
        refreshed(daemon.client())

        studio.wait_request(2, path=paths.CHAT)
        report = wait_queue(daemon.dealer(), running=1, waiting=3)
        assert report["queue"]["running"] == 1


def test_a_full_queue_of_one_model_keeps_nobody_from_another(short_dir: Path) -> None:
    with (
        LMStudio("v1", [QWEN, GEMMA]) as studio,
        start_daemon(
            short_dir,
            studio.url,
            llm_provider="lmstudio",
            daemon_poll_interval=RARELY_S,
            daemon_queue_limit=1,
        ) as daemon,
    ):
        studio.load(QWEN).config = LoadConfig(context_length=4096, parallel=1)
        studio.load(GEMMA)
        refreshed(daemon.client())
        dealer, gate = daemon.dealer(), Gate()
        studio.says("x", gate=gate)
        for number in range(5):
            dealer.send(op="generate", id=number, prompt="x", model=QWEN)

        refused = dealer.receive()
        assert error(refused)["code"] == "queue_full"
        assert result(dealer.ask(op="generate", id="other", prompt="x", model=GEMMA))


def test_model_that_was_loaded_for_an_answer_is_chosen_next(
    client: Client, studio: LMStudio
) -> None:
    """Else LM Studio would have to load the one again that has just gone for it."""
    client.generate("x", model=QWEN)
    since = client.list().generation
    client.generate("x", model=GEMMA)
    wait_list(client, since, lambda listed: listed.selection.model == GEMMA)

    client.generate("x")

    assert asked_models(studio) == [QWEN, GEMMA, GEMMA]


def test_embedding_model_does_not_chat(client: Client, studio: LMStudio) -> None:
    with pytest.raises(NotSupported, match="it does not chat"):
        client.generate("x", model=EMBEDDER)

    assert studio.requests(method="POST") == []


def test_loading_is_told(daemon: RunningDaemon, studio: LMStudio) -> None:
    """A model that is not in memory is loaded first: that is what the client is told."""
    loads = studio.hold_loads()
    dealer = daemon.dealer()
    dealer.send(op="generate", id=1, prompt="x", model=QWEN, progress=True)

    first = dealer.receive()

    assert (first["type"], first["state"]) == ("progress", "loading")
    loads.step()
    assert result(dealer.receive())["text"] == "Hello world"


# Vectors -----------------------------------------------------------------------------------


def test_first_embedding_model_makes_vectors(client: Client, studio: LMStudio) -> None:
    made = client.embed(["a", "bb", "ccc"])

    assert [row[0] for row in made.embeddings] == [0.01, 0.02, 0.03]
    assert made.model.startswith(EMBEDDER)
    assert made.warnings == ()
    (request,) = studio.requests(path=paths.EMBEDDINGS)
    assert request.body["model"] == EMBEDDER


def test_loaded_embedding_model_comes_first(short_dir: Path) -> None:
    other = Model(key="text-embedding-other", kind="embedding", quantization=None)
    with (
        LMStudio("v1", [EMBEDDER, QWEN, other]) as studio,
        start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon,
    ):
        studio.load("text-embedding-other")
        refreshed(daemon.client())

        assert daemon.client().embed("x").model == "text-embedding-other"


def test_chat_model_makes_no_vectors(daemon: RunningDaemon, studio: LMStudio) -> None:
    refused = error(daemon.dealer().ask(op="embed", id=1, input="x", model=QWEN))

    assert refused["code"] == "not_supported"
    assert EMBEDDER in refused["hint"]
    assert studio.requests(method="POST") == []


def test_selected_chat_model_is_not_asked_for_vectors(client: Client, studio: LMStudio) -> None:
    client.select(QWEN, persist=False)

    assert client.embed("x").model.startswith(EMBEDDER)
    assert codes(client.generate("x")) == []
    assert asked_models(studio) == [QWEN]
