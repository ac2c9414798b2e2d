"""Which generation of LM Studio's API a server speaks."""

import json

import pytest

from devsynthd.upstream.lists import Body
from devsynthd.upstream.recognition import (
    NEWEST_FIRST,
    OPENAI,
    V0,
    V1,
    Route,
    Shape,
    routes_to_try,
    shape,
)

UNEXPECTED = {"error": "Unexpected endpoint or method. (GET /api/v1/models)"}
WANTS_KEY = {
    "error": {
        "type": "invalid_request",
        "code": "invalid_api_key",
        "message": "An LM Studio API token is required to make requests to this server",
    }
}


def body(value: object, status: int = 200) -> Body:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Body(status, "application/json", data)


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (body({"lmstudio": True}), NEWEST_FIRST),
        (body({"lmstudio": True, "more": 1}), NEWEST_FIRST),
        (body(WANTS_KEY, 401), NEWEST_FIRST),
        (body(WANTS_KEY), NEWEST_FIRST),
        (body({"lmstudio": True}, 500), (OPENAI,)),
        (body({"lmstudio": "yes"}), (OPENAI,)),
        (body(UNEXPECTED), (OPENAI,)),
        (body({"error": {"code": 404, "message": "File Not Found"}}, 404), (OPENAI,)),
        (body(b"<html>Ollama is running</html>"), (OPENAI,)),
        (body(b"", 204), (OPENAI,)),
    ],
)
def test_only_the_greeting_makes_it_lm_studio(greeting: Body, expected: tuple[Route, ...]) -> None:
    assert routes_to_try(greeting) == expected


@pytest.mark.parametrize(
    ("route", "answer", "expected"),
    [
        (V1, body({"models": []}), Shape.LIST),
        (V1, body({"models": [{"key": "a", "loaded_instances": []}]}), Shape.LIST),
        # Ollama's and llama-server's lists have ``models`` too.
        (V1, body({"models": [{"name": "a", "model": "a"}]}), Shape.BROKEN),
        (V1, body({"object": "list", "data": []}), Shape.BROKEN),
        (V1, body(UNEXPECTED), Shape.MISSING),
        (V1, body(UNEXPECTED, 500), Shape.MISSING),
        (V1, body(b"Not Found", 404), Shape.MISSING),
        (V1, body({"detail": "Method Not Allowed"}, 405), Shape.MISSING),
        (V1, body(WANTS_KEY, 401), Shape.AUTH),
        (V1, body(WANTS_KEY), Shape.AUTH),
        (V1, body({"error": "Permission denied"}, 403), Shape.AUTH),
        (V1, body({"error": "out of memory"}, 500), Shape.BROKEN),
        (V1, body(b"<html>"), Shape.BROKEN),
        (V1, body(b"", 502), Shape.BROKEN),
        (V1, body({"models": [], "error": "half an answer"}), Shape.BROKEN),
        (V0, body({"object": "list", "data": []}), Shape.LIST),
        (V0, body({"data": [{"id": "a", "state": "loaded"}]}), Shape.LIST),
        (V0, body({"data": [{"id": "a"}]}), Shape.BROKEN),
        (V0, body(UNEXPECTED), Shape.MISSING),
        (OPENAI, body({"data": [{"id": "a", "object": "model"}]}), Shape.LIST),
        (OPENAI, body(UNEXPECTED), Shape.MISSING),
    ],
)
def test_the_body_tells_not_the_status(route: Route, answer: Body, expected: Shape) -> None:
    assert shape(route, answer) is expected
