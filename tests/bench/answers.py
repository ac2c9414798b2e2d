"""What the upstream of the benchmark says: lists of models and the events of a stream. Pure.

Which model is asked for decides how fast the answer comes, and the prefix of the path how many
models there are: ``/models-200/v1`` is the base of a server that has 200.
"""

import json
import re
from functools import lru_cache
from typing import Any

INSTANT = "bench/instant"
"""The model whose answer is there at once."""

FAST, SLOW = 200, 50
DEFAULT_MODELS = 20

_PREFIX = re.compile(r"/models-(\d+)(/.*)")
_KEPT = 16  # whole answers


def paced(tokens_a_second: int) -> str:
    """Return the model that answers so fast."""
    return f"bench/paced-{tokens_a_second}"


def pace_of(model: str) -> int | None:
    """Return how many tokens a second *model* answers with; null: at once."""
    found = re.fullmatch(r"bench/paced-(\d+)", model)
    return int(found[1]) if found else None


def split_path(path: str) -> tuple[int, str]:
    """Return how many models the server at *path* has, and the path without that prefix."""
    found = _PREFIX.fullmatch(path)
    return (int(found[1]), found[2]) if found else (DEFAULT_MODELS, path)


def list_at(path: str, count: int) -> dict[str, Any]:
    """Return what LM Studio answers with at *path*, for so many models."""
    names = [INSTANT, paced(FAST), paced(SLOW), *(f"bench/model-{n}b" for n in range(count))]
    del names[count:]
    match path:
        case "/lmstudio-greeting":
            return {"lmstudio": True}
        case "/api/v1/models":
            return {"models": [_entry(name) for name in names]}
        case "/v1/models":
            data = [{"id": name, "object": "model", "owned_by": "organization"} for name in names]
            return {"data": data, "object": "list"}
        case _:
            return {"error": f"Unexpected endpoint or method. (GET {path})"}


def _entry(name: str) -> dict[str, Any]:
    instance = {"id": name, "config": {"context_length": 8192, "flash_attention": True}}
    return {
        "type": "llm",
        "publisher": "bench",
        "key": name,
        "display_name": name.title(),
        "architecture": "llama",
        "quantization": {"name": "Q4_K_M", "bits_per_weight": 4},
        "size_bytes": 4_682_000_000,
        "params_string": "7B",
        "loaded_instances": [instance] if name == INSTANT else [],
        "max_context_length": 131_072,
        "format": "gguf",
        "capabilities": {"vision": False, "trained_for_tool_use": True},
    }


def token_event(model: str, text: str) -> bytes:
    """Return the event of one token, as a chunk of HTTP."""
    return _event(model, {"role": "assistant", "content": text})


def end_events(model: str, tokens: int) -> bytes:
    """Return what ends a stream of so many tokens, and its body."""
    usage = {"prompt_tokens": 8, "completion_tokens": tokens, "total_tokens": 8 + tokens}
    counts = _head(model) | {"choices": [], "usage": usage}
    return (
        _event(model, {}, "stop")
        + chunk(f"data: {json.dumps(counts)}\n\n".encode())
        + chunk(b"data: [DONE]\n\n")
        + chunk(b"")
    )


@lru_cache(maxsize=_KEPT)
def whole_answer(model: str, tokens: int) -> bytes:
    """Return all events of a stream of so many tokens."""
    events = [token_event(model, f" {number}") for number in range(tokens)]
    return b"".join([*events, end_events(model, tokens)])


def chunk(data: bytes) -> bytes:
    """Return *data* as a chunk of an HTTP body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def _head(model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-4m2wzx0pqy8vr6t1k9s3jd",
        "object": "chat.completion.chunk",
        "created": 1_747_835_957,
        "model": model,
        "system_fingerprint": model,
    }


def _event(model: str, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return chunk(f"data: {json.dumps(_head(model) | {'choices': [choice]})}\n\n".encode())
