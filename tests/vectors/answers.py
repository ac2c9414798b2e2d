"""What is said to have a model answer, and to stop it."""

from tests.lmstudio import Answer, ToolCall, paths
from tests.support.upstream_exchange import Gate
from tests.vectors.stage import EMBEDDER, QWEN, Scenes, Stage, Talk

ANSWERS = Scenes()

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@ANSWERS("A prompt, and the answer in one piece.")
def generate(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Hello", "!")
    talk.send({"op": "generate", "id": 1, "prompt": "Say hello."})
    talk.receive()


@ANSWERS("An answer as it comes: the chunks, joined, are the text of the result.")
def generate_stream(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Hel", "lo", "!", gate=gate)
    talk.send({"op": "generate", "id": 1, "prompt": "Say hello.", "stream": True})
    for _ in range(3):
        gate.step()
        talk.receive()
    gate.step()
    talk.receive()


@ANSWERS("A model that thinks first: reasoning comes apart from the text.")
def generate_reasoning(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.next_answer(Answer(reasoning=("Hm.",), texts=("4",), gate=gate))
    talk.send({"op": "generate", "id": 1, "prompt": "2 + 2?", "stream": True})
    for _ in range(2):
        gate.step()
        talk.receive()
    gate.step()
    talk.receive()


@ANSWERS("A conversation with an image, and every number that can be set.")
def generate_messages(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Black.")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    talk.send(
        {
            "op": "generate",
            "id": "chat-7",
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "Hello"},
                {"role": "assistant", "content": "Hello! What can I do?"},
                {"role": "user", "content": [{"type": "text", "text": "Its colour?"}, image]},
            ],
            "model": QWEN,
            "max_tokens": 64,
            "temperature": 0.2,
            "top_p": 0.9,
            "top_k": 40,
            "min_p": 0.05,
            "seed": 7,
            "stop": ["\n\n"],
            "repeat_penalty": 1.1,
            "presence_penalty": 0.5,
            "frequency_penalty": -0.5,
            "logit_bias": {"15339": -100},
            "ttl": 600,
            "extra": {"mirostat": 2},
            "wait": 1,
            "fallback": False,
            "background": True,
        }
    )
    talk.receive()


@ANSWERS("JSON that satisfies a schema.")
def generate_schema(stage: Stage, talk: Talk) -> None:
    stage.studio.says('{"sum": ', "4}")
    schema = {
        "type": "object",
        "properties": {"sum": {"type": "integer"}},
        "required": ["sum"],
        "additionalProperties": False,
    }
    talk.send({"op": "generate", "id": 1, "prompt": "2 + 2?", "schema": schema})
    talk.receive()


@ANSWERS("The model wants a tool called: whole, in the result.")
def generate_tools(stage: Stage, talk: Talk) -> None:
    call = ToolCall(name="weather", arguments=('{"city": ', '"Oslo"}'))
    stage.studio.next_answer(Answer(texts=(), tool_calls=(call,)))
    talk.send({"op": "generate", "id": 1, "prompt": "Is it raining in Oslo?", "tools": [WEATHER]})
    talk.receive()


@ANSWERS("The same in pieces: `arguments` of one `index`, joined, are JSON text.")
def generate_tools_stream(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    call = ToolCall(name="weather", arguments=('{"city": ', '"Oslo"}'))
    stage.studio.next_answer(Answer(texts=(), tool_calls=(call,), gate=gate))
    talk.send(
        {
            "op": "generate",
            "id": 1,
            "prompt": "Is it raining in Oslo?",
            "tools": [WEATHER],
            "tool_choice": "auto",
            "stream": True,
        }
    )
    for _ in range(3):
        gate.step()
        talk.receive()
    gate.step()
    talk.receive()


@ANSWERS("What the tool said goes back, and the model answers.")
def generate_tool_answer(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Yes, it is.")
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    calls = [{"id": "365174485", "type": "function", "function": function}]
    talk.send(
        {
            "op": "generate",
            "id": 2,
            "messages": [
                {"role": "user", "content": "Is it raining in Oslo?"},
                {"role": "assistant", "tool_calls": calls},
                {"role": "tool", "tool_call_id": "365174485", "content": "rain, 7 degrees"},
            ],
            "tools": [WEATHER],
        }
    )
    talk.receive()


@ANSWERS("The prompt as it is, without a chat template.")
def generate_raw(stage: Stage, talk: Talk) -> None:
    stage.studio.says("    return", " a + b")
    talk.send({"op": "generate", "id": 1, "prompt": "def add(a, b):\n", "raw": True})
    talk.receive()


@ANSWERS("The limit cuts the answer off, and a warning says so.")
def generate_truncated(stage: Stage, talk: Talk) -> None:
    stage.studio.says("One,", " two,", " three.")
    talk.send({"op": "generate", "id": 1, "prompt": "Count to three.", "max_tokens": 2})
    talk.receive()


@ANSWERS("Be told what an answer waits for: its model is loaded first.", loaded=())
def generate_progress(stage: Stage, talk: Talk) -> None:
    stage.studio.says("Hello!")
    talk.send({"op": "generate", "id": 1, "prompt": "Hi", "model": QWEN, "progress": True})
    while talk.receive()["type"] == "progress":
        pass


@ANSWERS(
    "The same in the queue: it is next, then its turn has come.",
    settings={"daemon_max_concurrency": 1},
)
def generate_queued(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("One.", gate=gate)
    stage.studio.says("Two.")
    talk.send({"op": "generate", "id": 1, "prompt": "One"})
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "generate", "id": 2, "prompt": "Two", "progress": True})
    talk.receive()
    gate.step(2)
    for _ in range(3):
        talk.receive()


@ANSWERS("A vector for each text.", loaded=(EMBEDDER,))
def embed(_: Stage, talk: Talk) -> None:
    talk.send({"op": "embed", "id": 1, "input": ["one text", "another text"]})
    talk.receive()


@ANSWERS("End a running request of this connection: its own error comes first.")
def cancel(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Once", " upon", " a time", gate=gate)
    talk.send({"op": "generate", "id": "story", "prompt": "Tell a story.", "stream": True})
    gate.step()
    talk.receive()
    talk.send({"op": "cancel", "id": "stop", "target": "story"})
    talk.receive()
    talk.receive()


@ANSWERS("End it from elsewhere, by the daemon's number for it.")
def cancel_by_number(stage: Stage, talk: Talk) -> None:
    gate = Gate()
    stage.studio.says("Once", " upon", gate=gate)
    stage.helper.send(op="generate", id="story", prompt="Tell a story.")
    stage.studio.wait_request(path=paths.CHAT)
    talk.send({"op": "cancel", "id": 1, "request": 2})
    talk.receive()


@ANSWERS("There is nothing with this number to be cancelled.")
def cancel_nothing(_: Stage, talk: Talk) -> None:
    talk.send({"op": "cancel", "id": 1, "request": 4711})
    talk.receive()
