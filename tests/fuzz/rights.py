"""What servers answer when all is well: what nearly right answers are made of."""

from typing import Any

from tests.lmstudio.clock import Clock
from tests.lmstudio.lists import openai_list, v0_list, v1_list
from tests.lmstudio.models import Model, model_named
from tests.lmstudio.quirks import Quirks
from tests.lmstudio.world import World
from tests.support.upstream_replies import infill_end, infill_piece, piece, text_piece, usage

Json = dict[str, Any]

_WORLD = World("v1", [model_named("a"), Model(key="vectors", kind="embedding")], Clock())
_WORLD.load("a")
_WORLD.load("vectors")

V1_LIST: Json = v1_list(_WORLD, Quirks())
V0_LIST: Json = v0_list(_WORLD)
OPENAI_LIST: Json = openai_list(_WORLD)
LLAMA_LIST: Json = {
    "object": "list",
    "data": [
        {
            "id": "/models/a.gguf",
            "object": "model",
            "owned_by": "llamacpp",
            "name": "A",
            "status": {"value": "loaded"},
            "architecture": {"input_modalities": ["text", "image"]},
            "max_model_len": 4096,
            "meta": {"n_ctx": 4096, "n_ctx_train": 8192, "n_params": 134515008, "size": 98000000},
        }
    ],
}
LISTS: list[Json] = [V1_LIST, V0_LIST, OPENAI_LIST, LLAMA_LIST]

VECTORS: Json = {
    "object": "list",
    "model": "vectors@f16",
    "data": [
        {"object": "embedding", "embedding": [0.5, -1, 2e-3], "index": 1},
        {"object": "embedding", "embedding": [1.0, 0.0, 3], "index": 0},
    ],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
LOADED: Json = {
    "type": "llm",
    "instance_id": "a:2",
    "status": "loaded",
    "load_time_seconds": 1.25,
    "load_config": {"context_length": 4096},
}
UNLOADED: Json = {"instance_id": "a"}
DOWNLOAD: Json = {
    "job_id": "job-1",
    "status": "completed",
    "total_size_bytes": 2500000000,
    "downloaded_bytes": 1000,
    "error_message": "none",
    "started_at": "2026-01-01T00:00:00Z",
}
_ERROR: Json = {"message": "Model not found: a", "type": "invalid_request", "code": "x", "param": 1}
ERRORS: list[Json] = [{"error": _ERROR}, {"error": "Failed to load model: a"}, {"detail": [_ERROR]}]

_CALL: Json = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f"}}
_ARGUMENTS: Json = {"index": 0, "function": {"arguments": '{"a":1}'}}
_WHOLE: Json = {
    "object": "chat.completion",
    "model": "a",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "reasoning_content": "Hm",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
EVENTS: list[Json] = [
    piece("Hello"),
    piece(" w\u00f6rld"),
    piece(reasoning_content="Hm"),
    piece(tool_calls=[_CALL]),
    piece(tool_calls=[_ARGUMENTS]),
    piece(finish_reason="stop"),
    usage(),
    text_piece("Hello", finish_reason="length"),
    infill_piece("x"),
    infill_end(),
    _WHOLE,
    *ERRORS,
]
