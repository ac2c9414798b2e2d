"""The reference for generations: the same upstream, asked as a program would without a daemon."""

import json
import time

import requests

PROMPT = "Count."


class Direct:
    """Asks for answers, by an open connection."""

    def __init__(self, session: requests.Session, upstream: str) -> None:
        self._session, self._url = session, f"{upstream}/v1/chat/completions"

    def first_token_ms(self, model: str, tokens: int) -> float:
        """Ask for an answer of so many *tokens*, read it, and return when its first one came."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": tokens,
            "temperature": 0.7,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        first: float | None = None
        text = []
        start = time.perf_counter()
        with self._session.post(self._url, json=body, stream=True) as response:
            for line in response.iter_lines():
                if line.startswith(b"data: {"):
                    choices = json.loads(line[6:])["choices"]
                    if choices and (content := choices[0]["delta"].get("content")):
                        text.append(content)
                        first = first or time.perf_counter()
        assert first is not None
        assert len(text) == tokens
        return (first - start) * 1000

    def ask(self, model: str, tokens: int) -> None:
        """Ask for an answer of so many *tokens* and read all of it."""
        self.first_token_ms(model, tokens)
