"""What is said where something goes wrong: a vector for every code that can be brought about."""

from tests.lmstudio import errors, faults, paths
from tests.support.upstream_exchange import Gate
from tests.vectors.stage import EMBEDDER, GEMMA, QWEN, Scenes, Stage, Talk

FAILURES = Scenes()


# Of the request itself --------------------------------------------------------------------------


@FAILURES("An op that is not there; the hint has the nearest one.")
def unknown_op(_: Stage, talk: Talk) -> None:
    talk.send({"op": "lists", "id": 1})
    talk.receive()


@FAILURES("A field that is not there; the hint has the nearest one.")
def unknown_field(_: Stage, talk: Talk) -> None:
    talk.send({"op": "list", "id": 1, "refesh": True})
    talk.receive()


@FAILURES("A field of another type.")
def wrong_type(_: Stage, talk: Talk) -> None:
    talk.send({"op": "generate", "id": 1, "prompt": 5})
    talk.receive()


@FAILURES("A number out of its limits.")
def out_of_range(_: Stage, talk: Talk) -> None:
    talk.send({"op": "generate", "id": 1, "prompt": "Hi", "temperature": 3})
    talk.receive()


@FAILURES("A field that is needed is missing.")
def missing_field(_: Stage, talk: Talk) -> None:
    talk.send({"op": "load", "id": 1})
    talk.receive()


@FAILURES("No id: the error has none either.")
def missing_id(_: Stage, talk: Talk) -> None:
    talk.send({"op": "ping"})
    talk.receive()


@FAILURES("Nothing to answer.")
def blank_prompt(_: Stage, talk: Talk) -> None:
    talk.send({"op": "generate", "id": 1, "prompt": " \n"})
    talk.receive()


@FAILURES("An id that is in use: the error has no id, since that one still runs.")
def duplicate_id(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Hello!", gate=gate)
    talk.send({"op": "generate", "id": "a", "prompt": "Hi"})
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "ping", "id": "a"})
    talk.receive()
    gate.step(2)
    talk.receive()


@FAILURES("Another version of the protocol.")
def unsupported_version(_: Stage, talk: Talk) -> None:
    talk.send({"op": "ping", "id": 1, "v": 2})
    talk.receive()


# Of models and settings -------------------------------------------------------------------------


@FAILURES("A model that nobody knows.")
def model_not_found(_: Stage, talk: Talk) -> None:
    talk.send({"op": "select", "id": 1, "model": "qwen/qwen3-5b"})
    talk.receive()


@FAILURES(
    "No model is named and the daemon may not choose.", settings={"llm_auto_select_model": False}
)
def no_model(_: Stage, talk: Talk) -> None:
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("The upstream cannot load the model.")
def model_load_failed(stage: Stage, talk: Talk) -> None:
    stage.studio.next_load_fails()
    talk.send({"op": "load", "id": 1, "model": GEMMA})
    talk.receive()


@FAILURES("A model that is loaded in another way: unload it first.")
def load_otherwise(_: Stage, talk: Talk) -> None:
    talk.send({"op": "load", "id": 1, "model": QWEN, "context_length": 8192})
    talk.receive()


@FAILURES("A setting whose value is not allowed.")
def config_invalid(_: Stage, talk: Talk) -> None:
    talk.send({"op": "config_set", "id": 1, "key": "llm_max_tokens", "value": 0})
    talk.receive()


@FAILURES("This upstream cannot do that.", settings={"llm_provider": "openai"})
def not_supported(_: Stage, talk: Talk) -> None:
    talk.send({"op": "load", "id": 1, "model": QWEN})
    talk.receive()


# Of the upstream --------------------------------------------------------------------------------


@FAILURES("Nobody is there.", running=False)
def upstream_unavailable(_: Stage, talk: Talk) -> None:
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("It takes the request and says nothing.", settings={"llm_first_token_timeout": 0.2})
def upstream_timeout(stage: Stage, talk: Talk) -> None:
    stage.studio.next_fault(faults.no_answer(), path=paths.CHAT)
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("It wants another API key.")
def upstream_auth(stage: Stage, talk: Talk) -> None:
    stage.studio.require_token("another")
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("It answers with an error.")
def upstream_error(stage: Stage, talk: Talk) -> None:
    stage.studio.next_fault(faults.plain_error(errors.TEMPLATE), path=paths.CHAT)
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("It answers with what breaks the schema: `details` has the text.")
def schema_broken(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Four.")
    talk.send({"op": "generate", "id": 1, "prompt": "2 + 2?", "schema": {"type": "integer"}})
    talk.receive()


@FAILURES("The prompt is longer than what the model was loaded for.")
def context_overflow(stage: Stage, talk: Talk) -> None:
    stage.studio.next_fault(faults.overflow(), path=paths.CHAT)
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    talk.receive()


@FAILURES("It breaks off in the middle: `details` has the text so far.")
def incomplete(stage: Stage, talk: Talk) -> None:
    stage.studio.next_fault(faults.end_without_done("Once", cut=True), path=paths.CHAT)
    talk.send({"op": "generate", "id": 1, "prompt": "Tell a story.", "stream": True})
    talk.receive()
    talk.receive()


# Of time and order ------------------------------------------------------------------------------


@FAILURES(
    "Too much of one client waits: the last of three, with a limit of one.",
    settings={"daemon_queue_limit": 1, "daemon_max_concurrency": 1},
)
def queue_full(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("One.", gate=gate)
    stage.studio.says("Two.")
    talk.send({"op": "generate", "id": 1, "prompt": "One"})
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "generate", "id": 2, "prompt": "Two"})
    talk.send({"op": "generate", "id": 3, "prompt": "Three"})
    talk.receive()
    gate.step(2)
    talk.receive()
    talk.receive()


@FAILURES("The time that the request had is over: `details` has the text so far.")
def deadline_exceeded(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Never", gate=Gate())
    talk.send({"op": "generate", "id": 1, "prompt": "Hi", "timeout": 0.2})
    talk.receive()


@FAILURES("The daemon drains: what is new is refused, what runs may end.")
def shutting_down(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Bye!", gate=gate)
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "shutdown", "id": 2})
    talk.receive()
    talk.send({"op": "list", "id": 3})
    talk.receive()
    gate.step(2)
    talk.receive()


@FAILURES("The daemon drains: subscriptions and lists that wait end at once, before what runs.")
def shutting_down_waiting(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Bye!", gate=gate)
    talk.send({"op": "generate", "id": 1, "prompt": "Hi"})
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "subscribe", "id": 2, "topics": ["config"]})
    talk.receive()
    talk.send({"op": "list", "id": 3, "kind": "embedding"})
    generation = talk.receive()["result"]["generation"]
    talk.send({"op": "list", "id": 4, "kind": "embedding", "since": generation})
    talk.send({"op": "shutdown", "id": 5})
    for _ in range(3):
        talk.receive()
    gate.step(2)
    talk.receive()


@FAILURES("A vector of a model that nobody knows.", loaded=(EMBEDDER,))
def embed_unknown_model(_: Stage, talk: Talk) -> None:
    talk.send({"op": "embed", "id": 1, "input": "one text", "model": "no/such"})
    talk.receive()
