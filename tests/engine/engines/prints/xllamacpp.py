"""A stand-in for an engine that serves, and prints what looks like a report of its own."""

import os
from types import SimpleNamespace


class CommonParams(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        )


class Server:
    listening_address = "http://127.0.0.1:1"

    def __init__(self, _params: CommonParams) -> None:
        os.write(1, b'{"port": 2}\n')
