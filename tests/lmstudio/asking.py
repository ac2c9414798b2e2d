"""A client that asks the simulator over HTTP, as any program would."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import requests

from tests.lmstudio import paths
from tests.lmstudio.studio import LMStudio
from tests.support.upstream_exchange import WAIT_S

GEMMA = "google/gemma-4-26b-a4b"
QWEN = "qwen/qwen3-4b"
NOMIC = "text-embedding-nomic-embed-text-v1.5"
TOKEN = "sk-lm-abcdefgh:12345678901234567890"  # noqa: S105 - opens nothing


def chat_body(model: str = QWEN, text: str = "hi", **more: object) -> dict[str, Any]:
    """Return the body of a request for a chat."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


class Client:
    """Keeps a connection open between requests."""

    def __init__(self, studio: LMStudio) -> None:
        self._studio = studio
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        """Connect when asked."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self._session.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
    ) -> requests.Response:
        """Return the whole answer."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        url = self._studio.url + path
        return self._session.request(method, url, json=body, headers=headers, timeout=WAIT_S)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Return the JSON value of *path*."""
        return self.ask("GET", path).json()

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON is anything
        """Return the JSON value that *body* is answered with."""
        return self.ask("POST", path, body).json()

    @contextlib.contextmanager
    def streaming(self, body: object, path: str = paths.CHAT) -> Iterator[Iterator[str]]:
        """Yield the lines of a stream, without the empty ones; leaving breaks it off."""
        url = self._studio.url + path
        with self._session.post(url, json=body, stream=True, timeout=WAIT_S) as response:
            lines = response.iter_lines(chunk_size=1, decode_unicode=True)
            yield (line for line in lines if line)

    def stream(self, body: object, path: str = paths.CHAT) -> list[Any]:
        """Return the data of all events of a stream, JSON or ``[DONE]``."""
        with self.streaming(body, path) as lines:
            return [data(line) for line in lines]


def data(line: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what a line of a stream carries."""
    value = line.removeprefix("data: ")
    return value if value == "[DONE]" or line.startswith("event:") else json.loads(value)


def text_of(events: list[Any]) -> str:
    """Return the text that a stream said."""
    choices = [choice for event in events if event != "[DONE]" for choice in event["choices"]]
    return "".join(choice["delta"].get("content", "") for choice in choices)


def ask_and_leave(studio: LMStudio, path: str, body: object = None) -> None:
    """Send the first request to *path*, and hang up when it has arrived."""
    connection = http.client.HTTPConnection(studio.url.removeprefix("http://"), timeout=WAIT_S)
    with contextlib.closing(connection):
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
        studio.wait_request(path=path)


class Asking:
    """A request under way in a thread of its own."""

    def __init__(self, studio: LMStudio, path: str, body: object) -> None:
        self._studio, self._path, self._body = studio, path, body
        self._answer: requests.Response | None = None
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def answer(self) -> requests.Response:
        """Wait for the answer."""
        self._thread.join(WAIT_S)
        assert self._answer is not None, "no answer has come"
        return self._answer

    def _ask(self) -> None:
        with Client(self._studio) as client:
            self._answer = client.ask("POST", self._path, self._body)
