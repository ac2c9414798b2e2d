"""Answers: whole and streamed, of chat, plain completion and embeddings."""

import pytest

from tests.lmstudio import paths
from tests.lmstudio.asking import GEMMA, NOMIC, QWEN, Client, chat_body, text_of
from tests.lmstudio.completion import Answer, ReasoningAs, ToolCall
from tests.lmstudio.paths import Generation
from tests.lmstudio.studio import LMStudio


def test_a_whole_chat_answer(client: Client) -> None:
    answer = client.post(paths.CHAT, chat_body(text="one two three"))

    assert answer.pop("id").startswith("chatcmpl-")
    assert answer == {
        "object": "chat.completion",
        "created": 1759505603,
        "model": QWEN,
        "choices": [
            {
                "index": 0,
                "logprobs": None,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Hello world", "tool_calls": []},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "stats": {},
        "system_fingerprint": QWEN,
    }


def test_v0_adds_timings_and_more(client: Client) -> None:
    answer = client.post(paths.CHAT_V0, chat_body())

    assert answer["stats"]["stop_reason"] == "eosFound"
    assert answer["model_info"] == {
        "arch": "qwen3",
        "quant": "Q4_K_M",
        "format": "gguf",
        "context_length": 4096,
    }
    assert answer["runtime"]["supported_formats"] == ["gguf"]


def test_a_stream(client: Client) -> None:
    events = client.stream(chat_body(stream=True))

    assert len({event["id"] for event in events[:-1]}) == 1
    assert [event if event == "[DONE]" else event["choices"][0] for event in events] == [
        _choice({"role": "assistant", "content": "Hello"}),
        _choice({"role": "assistant", "content": " world"}),
        _choice({}, "stop"),
        "[DONE]",
    ]
    assert list(events[0]) == [
        *("id", "object", "created", "model", "system_fingerprint", "choices")
    ]


def _choice(delta: dict[str, str], finish: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


@pytest.mark.parametrize(("generation", "counted"), [("openai", False), ("v0", True), ("v1", True)])
def test_the_usage_of_a_stream_is_a_chunk_without_a_choice(
    generation: Generation, *, counted: bool
) -> None:
    body = chat_body(stream=True, stream_options={"include_usage": True})
    with LMStudio(generation) as studio, Client(studio) as client:
        events = client.stream(body)

    usages = [event for event in events[:-1] if "usage" in event]
    assert [event["choices"] for event in usages] == ([[]] if counted else [])
    assert events[-1] == "[DONE]"


def test_old_versions_have_no_empty_tool_calls() -> None:
    with LMStudio("openai") as studio, Client(studio) as client:
        message = client.post(paths.CHAT, chat_body())["choices"][0]["message"]

    assert message == {"role": "assistant", "content": "Hello world"}


@pytest.mark.parametrize(
    ("reasoning_as", "message"),
    [
        ("reasoning_content", {"reasoning_content": "Hm.", "content": "Yes"}),
        ("reasoning", {"reasoning": "Hm.", "content": "Yes"}),
        ("think", {"content": "<think>Hm.</think>Yes"}),
    ],
)
def test_reasoning_goes_by_several_names(
    studio: LMStudio, client: Client, reasoning_as: ReasoningAs, message: dict[str, str]
) -> None:
    answer = Answer(texts=("Yes",), reasoning=("Hm", "."), reasoning_as=reasoning_as)
    studio.next_answer(answer)
    studio.next_answer(answer)

    whole = client.post(paths.CHAT, chat_body())["choices"][0]["message"]
    chunks = [event["choices"][0]["delta"] for event in client.stream(chat_body(stream=True))[:-1]]

    assert whole == {"role": "assistant", **message, "tool_calls": []}
    for field, text in message.items():
        assert "".join(delta.get(field, "") for delta in chunks) == text


@pytest.mark.parametrize(
    ("max_tokens", "reason", "content", "thought"),
    [(-1, "stop", "Hello world", "Hm"), (2, "length", "Hello", "Hm"), (1, "length", "", "Hm")],
)
def test_the_limit_of_tokens_counts_thoughts(
    studio: LMStudio, client: Client, max_tokens: int, reason: str, content: str, thought: str
) -> None:
    studio.next_answer(Answer(reasoning=("Hm",)))

    (choice,) = client.post(paths.CHAT, chat_body(max_tokens=max_tokens))["choices"]

    assert choice["finish_reason"] == reason
    assert choice["message"]["content"] == content
    assert choice["message"]["reasoning_content"] == thought


def test_calls_of_tools(studio: LMStudio, client: Client) -> None:
    call = ToolCall(name="weather", arguments=('{"', 'city":1}'), id="814890118")
    studio.next_answer(Answer(texts=(), tool_calls=(call,)))
    studio.next_answer(Answer(texts=(), tool_calls=(call,)))

    (whole,) = client.post(paths.CHAT, chat_body())["choices"]
    events = client.stream(chat_body(stream=True))[:-1]

    function = {"name": "weather", "arguments": '{"city":1}'}
    assert whole["finish_reason"] == "tool_calls"
    assert whole["message"] == {  # without "content"
        "role": "assistant",
        "tool_calls": [{"id": "814890118", "type": "function", "function": function}],
    }
    begin = {"name": "weather", "arguments": ""}
    assert [event["choices"][0]["delta"].get("tool_calls") for event in events] == [
        [{"index": 0, "id": "814890118", "type": "function", "function": begin}],
        [{"index": 0, "function": {"arguments": '{"'}}],
        [{"index": 0, "function": {"arguments": 'city":1}'}}],
        None,
    ]
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_the_answer_names_who_gave_it(studio: LMStudio, client: Client) -> None:
    studio.load(GEMMA)

    assert client.post(paths.CHAT, chat_body("nobody"))["model"] == GEMMA


def test_a_plain_completion(studio: LMStudio, client: Client) -> None:
    body = {"model": QWEN, "prompt": "the meaning of life is", "max_tokens": 1}

    answer = client.post(paths.COMPLETIONS, body)
    streamed = client.stream(body | {"stream": True}, paths.COMPLETIONS)

    assert answer["id"].startswith("cmpl-")
    assert answer["object"] == "text_completion"
    assert answer["choices"] == [
        {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "length"}
    ]
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    assert [event["choices"][0]["text"] for event in streamed[:-1]] == ["Hello", ""]
    assert streamed[-1] == "[DONE]"
    assert studio.requests(path=paths.COMPLETIONS)[0].body == body


@pytest.mark.parametrize(("honours", "text"), [(False, "outside"), (True, "between")])
def test_a_suffix_is_honoured_or_not(
    studio: LMStudio, client: Client, text: str, *, honours: bool
) -> None:
    studio.quirks.honours_suffix = honours
    studio.next_answer(Answer(texts=("outside",), infill=("between",)))

    answer = client.post(paths.COMPLETIONS, {"model": QWEN, "prompt": "a", "suffix": "b"})

    assert answer["choices"][0]["text"] == text


def test_embeddings(client: Client) -> None:
    answer = client.post(paths.EMBEDDINGS, {"model": NOMIC, "input": ["a", "bb"]})

    assert answer["object"] == "list"
    assert [(each["object"], each["index"]) for each in answer["data"]] == [
        ("embedding", 0),
        ("embedding", 1),
    ]
    assert answer["data"][0]["embedding"] != answer["data"][1]["embedding"]
    assert answer["model"] == f"{NOMIC}@q4_k_m"
    assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"messages": None}, "Invalid 'messages' in payload"),
        (
            {"response_format": {"type": "json_object"}},
            "'response_format.type' must be 'json_schema' or 'text'",
        ),
    ],
)
def test_a_bad_field_is_refused_with_a_text(
    client: Client, more: dict[str, object], error: str
) -> None:
    answer = client.ask("POST", paths.CHAT, chat_body() | more)

    assert answer.status_code == 400
    assert answer.json() == {"error": error}


def test_bad_tools_are_refused_with_a_list_inside_a_text(client: Client) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}

    error = client.post(paths.CHAT, chat_body(tools=[tool]))["error"]

    assert error.startswith("[\n  {")


def test_a_body_that_is_no_json_object_is_answered_with_a_page(client: Client) -> None:
    answer = client.ask("POST", paths.CHAT, [])

    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("generation", "status"), [("openai", 404), ("v1", 400)], ids=["0.3.5", "0.4"]
)
def test_nothing_loaded(generation: Generation, status: int) -> None:
    with LMStudio(generation) as studio, Client(studio) as client:
        studio.settings.jit = False
        answer = client.ask("POST", paths.CHAT, chat_body())

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["message"].startswith("No models loaded.")
    assert (error["type"], error["param"], error["code"]) == (
        *("invalid_request_error", "model"),
        None,
    )


def test_an_unknown_model(client: Client) -> None:
    answer = client.ask("POST", paths.CHAT, chat_body("nobody"))

    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "model_not_found"
    assert error["message"].startswith('Model "nobody" not found.')
    assert QWEN in error["message"]


def test_an_embedding_model_does_not_chat(client: Client) -> None:
    error = client.post(paths.CHAT, chat_body(NOMIC))["error"]

    assert error["message"].startswith(f'Failed to load model "{NOMIC}".')


def test_a_prompt_that_is_too_long_has_three_faces(studio: LMStudio, client: Client) -> None:
    studio.load(QWEN, context_length=4)
    long = chat_body(text="one two three four five")
    words = "The number of tokens to keep from the initial prompt is greater"

    refused = client.ask("POST", paths.CHAT, long)
    (framed,) = client.stream(long | {"stream": True})
    studio.quirks.overflow = "silence"
    silent = client.stream(long | {"stream": True})

    assert refused.status_code == 400
    assert refused.json()["error"].startswith(words)
    assert "(n_keep: 5>= n_ctx: 4)" in refused.json()["error"]
    assert framed["error"]["message"].startswith(words)
    assert text_of(silent) == ""
    assert silent[-1] == "[DONE]"
