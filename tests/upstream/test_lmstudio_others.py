"""Servers that are not LM Studio, at its address or at the general one."""

import pytest

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Instance, Model
from tests.support.upstream_replies import Reply, in_turn, silence, status
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import another_server, lmstudio, openai

LLAMA_META = {"n_ctx": 8192, "n_ctx_train": 131072, "n_params": 8030261312, "size": 4912898304}
LLAMA_SERVER = {
    "object": "list",
    "data": [
        {
            "id": "/models/llama.gguf",
            "object": "model",
            "created": 1735142223,
            "owned_by": "llamacpp",
            "meta": LLAMA_META,
        }
    ],
    # What Ollama would say, for Ollama's clients.
    "models": [{"name": "/models/llama.gguf", "model": "x", "capabilities": ["completion"]}],
}


def _entry(name: str, value: str, **more: object) -> dict[str, object]:
    """Return an entry of llama-server as a router."""
    status = {"value": value, "args": ["--port", "0"]}
    return {"id": name, "object": "model", "owned_by": "llamacpp", "status": status, **more}


LLAMA_ROUTER = {
    "object": "list",
    "data": [
        _entry("in", "loaded", meta={"n_ctx": 4096}),
        _entry("out", "unloaded", meta=None),
        _entry("coming", "loading"),
        _entry("sleeping", "sleeping"),
    ],
}
VLLM = {
    "object": "list",
    "data": [
        {
            "id": "org/base",
            "object": "model",
            "created": 1,
            "owned_by": "vllm",
            "root": "org/base",
            "parent": None,
            "max_model_len": 4096,
            "permission": [],
        },
        {
            "id": "adapter",
            "object": "model",
            "created": 1,
            "owned_by": "vllm",
            "root": "/lora",
            "parent": "org/base",
            "max_model_len": None,
        },
    ],
}
OLLAMA = {
    "object": "list",
    "data": [
        {"id": "gemma4:latest", "object": "model", "created": 1, "owned_by": "library"},
        {"id": "qwen3:4b", "object": "model", "created": 2, "owned_by": "library"},
    ],
}
OLLAMA_LOADED = {
    "models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 1, "context_length": 4096}]
}
VERSION = {"version": "0.12.6"}


def _paths(server: UpstreamServer) -> list[str]:
    return [exchange.path for exchange in server.lists]


@pytest.mark.parametrize("answer", [LLAMA_SERVER, LLAMA_ROUTER, VLLM, OLLAMA])
def test_at_lm_studios_address_any_server_is_listed(answer: object) -> None:
    """F29, R3: the greeting and one list, then the list only; a key ``models`` means nothing."""
    with another_server(v1_models=answer) as server:
        root = server.url.removesuffix("/v1")
        with lmstudio(root) as asker:
            assert asker.poll().api == "openai"
            assert asker.upstream.manager is None
            asker.poll()

        assert _paths(server) == ["/lmstudio-greeting", "/v1/models", "/v1/models"]
        assert server.generations == []


def test_llama_server_has_its_one_model_loaded() -> None:
    with another_server(v1_models=LLAMA_SERVER) as server, openai(server.url) as asker:
        assert asker.poll().models == (
            Model(
                id="/models/llama.gguf",
                name="/models/llama.gguf",
                owner="llamacpp",
                loaded=True,
                instances=(Instance("/models/llama.gguf", 8192),),
                context_length=8192,
                max_context_length=131072,
                size_bytes=4912898304,
                parameters="8.0B",
            ),
        )
        assert _paths(server) == ["/v1/models"]


def test_llama_server_as_a_router_tells_what_is_loaded() -> None:
    with another_server(v1_models=LLAMA_ROUTER) as server, openai(server.url) as asker:
        models = asker.models()

    assert {name: model.loaded for name, model in models.items()} == {
        "in": True,
        "out": False,
        "coming": False,
        "sleeping": False,
    }
    assert models["in"].context_length == 4096


def test_llama_server_is_waited_for_while_it_loads_its_model() -> None:
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    with UpstreamServer() as server, openai(server.url) as asker:
        server.models_reply = status(503, loading)
        error = asker.no_list()

    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_UNAVAILABLE, True)


def test_vllm_serves_its_model_and_what_is_trained_on_it() -> None:
    with another_server(v1_models=VLLM) as server, openai(server.url) as asker:
        models = asker.models()

    assert {name: model.loaded for name, model in models.items()} == {
        "org/base": True,
        "adapter": True,
    }
    assert models["org/base"].context_length == models["org/base"].max_context_length == 4096
    assert models["adapter"].context_length is None


def test_ollama_is_recognised_once_and_asked_what_is_loaded() -> None:
    """R3: beside ``/v1``, at the root of the server."""
    with (
        another_server(v1_models=OLLAMA, api_version=VERSION, api_ps=OLLAMA_LOADED) as server,
        openai(server.url) as asker,
    ):
        for _ in range(2):
            models = asker.models()
            assert models["gemma4:latest"].loaded is False
            assert models["qwen3:4b"].instances == (Instance("qwen3:4b", 4096),)
        assert _paths(server) == [
            "/v1/models",
            "/api/version",
            "/api/ps",
            "/v1/models",
            "/api/ps",
        ]


@pytest.mark.parametrize("answer", [LLAMA_SERVER, VLLM, {"object": "list", "data": []}])
def test_no_other_server_is_asked_what_ollama_is_asked(answer: object) -> None:
    with another_server(v1_models=answer) as server, openai(server.url) as asker:
        asker.poll()

        assert _paths(server) == ["/v1/models"]


def test_who_only_looks_like_ollama_is_asked_once() -> None:
    with another_server(v1_models=OLLAMA) as server, openai(server.url) as asker:
        for _ in range(3):
            assert set(asker.loaded().values()) == {None}

        assert _paths(server).count("/api/version") == 1
        assert "/api/ps" not in _paths(server)


@pytest.mark.parametrize(
    "loaded",
    [
        status(200, {"error": "Unexpected endpoint or method. (GET /api/ps)"}),
        status(500, b""),
        status(200, [1]),
        silence(),
    ],
    ids=["unexpected", "broken", "odd", "silent"],
)
def test_an_ollama_that_does_not_tell_leaves_it_unknown(loaded: Reply) -> None:
    """R5: the list is there all the same."""
    with UpstreamServer() as server, openai(server.url) as asker:
        server.models_reply = in_turn(status(200, OLLAMA), status(200, VERSION), loaded)

        assert asker.loaded() == {"gemma4:latest": None, "qwen3:4b": None}


def test_an_unknown_server_leaves_open_what_is_loaded() -> None:
    """F20, R5: listed is not loaded, and a name tells no kind."""
    entries = [{"id": "text-embedding-x", "object": "model"}, {"id": "gpt", "owned_by": "me"}]
    with another_server(v1_models={"data": entries}) as server, openai(server.url) as asker:
        models = asker.models()

    assert {model.loaded for model in models.values()} == {None}
    assert {model.kind for model in models.values()} == {"unknown"}


def test_lm_studio_at_the_general_address_is_one_more_server() -> None:
    """F23, R3: nothing is asked of it but what any server is asked."""
    entries = [{"id": "a/b", "object": "model", "owned_by": "organization_owner"}]
    answer = {"data": entries, "object": "list"}
    with another_server(v1_models=answer) as server, openai(server.url) as asker:
        assert asker.loaded() == {"a/b": None}
        assert _paths(server) == ["/v1/models"]
