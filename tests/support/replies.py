"""Results as a daemon sends them, to be changed where a test needs it."""

from typing import Any

PONG: dict[str, Any] = {
    "version": "9.8.7",
    "protocol": 1,
    "pid": 4321,
    "instance": "one",
    "ops": ["ping"],
    "limits": {
        "max_body_bytes": 32 * 2**20,
        "max_message_bytes": 64 * 2**20,
        "max_messages": 4096,
        "max_parts": 1024,
        "max_inputs": 4096,
        "max_free_form_bytes": 2**20,
    },
}

SELECTION: dict[str, Any] = {
    "model": "qwen/small",
    "how": "auto",
    "available": True,
    "reason": "the first one that is loaded",
}

SOURCE: dict[str, Any] = {
    "provider": "lmstudio",
    "api_base": "http://localhost:1234",
    "api": "openai",
    "reachable": True,
    "fetched_at": 1_700_000_000.0,
    "age_s": 2.5,
    "stale": False,
    "error": None,
}

STATUS: dict[str, Any] = {
    "version": "9.8.7",
    "protocol": 1,
    "pid": 4321,
    "instance": "one",
    "uptime_s": 3725.0,
    "socket": "/run/user/1/devsynth/devsynthd.sock",
    "config": {
        "path": "/home/me/config.toml",
        "exists": True,
        "config_generation": 1,
        "valid": True,
        "error": None,
        "overrides": ["llm_model", "llm_api_base"],
    },
    "source": SOURCE,
    "selection": SELECTION,
    "models": {"total": 3, "loaded": 1},
    "queue": {"running": 1, "waiting": 2, "limit": 64, "max_concurrency": 4},
    "requests": [
        {
            "request": 7,
            "id": "a",
            "client": "editor/1",
            "pid": 99,
            "op": "generate",
            "model": "qwen/small",
            "state": "queued",
            "position": 2,
            "timing": None,
            "error": None,
        }
    ],
    "totals": {
        "requests": 10,
        "generations": 4,
        "tokens": 1000,
        "errors": {"no_model": 2, "internal": 1},
        "cancelled": 1,
    },
    "memory_bytes": 31_400_000,
}

SELECTED: dict[str, Any] = {
    "selection": SELECTION | {"how": "selected", "reason": "as told"},
    "previous": None,
    "persisted": False,
    "warnings": [{"code": "not_persisted", "message": "it holds until the daemon ends"}],
}

LOADED: dict[str, Any] = {"model": "qwen/small", "instance_id": "qwen/small:2", "load_time_s": 9.06}
UNLOADED: dict[str, Any] = {"model": "qwen/small", "instance_ids": ["qwen/small", "qwen/small:2"]}
DOWNLOADED: dict[str, Any] = {
    "model": "qwen/small",
    "status": "completed",
    "size_bytes": 2_100_000_000,
}


def model(id: str, **fields: object) -> dict[str, Any]:
    """Return a model of the list."""
    return {"id": id, "name": id.title(), "kind": "llm"} | fields


def models(*entries: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return the result of ``list``."""
    listing: dict[str, Any] = {
        "generation": 5,
        "models": list(entries),
        "selection": SELECTION,
        "source": SOURCE,
        "warnings": [],
    }
    return listing | fields


def completion(text: str, **fields: object) -> dict[str, Any]:
    """Return the result of ``generate``."""
    timing = {"queued_s": 0, "waiting_s": 0.1, "streaming_s": 0.2, "total_s": 0.3}
    result: dict[str, Any] = {
        "model": "qwen/small",
        "text": text,
        "reasoning": None,
        "tool_calls": [],
        "finish_reason": "stop",
        "usage": None,
        "timing": timing | {"tokens_per_s": None},
        "fallback": False,
        "warnings": [],
    }
    return result | fields
