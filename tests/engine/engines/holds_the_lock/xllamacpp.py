"""A stand-in for the engine that loads for ever, holding the interpreter's lock as the real one."""

import ctypes
import os
from pathlib import Path
from types import SimpleNamespace


class CommonParams(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        )


class Server:
    def __init__(self, params: CommonParams) -> None:
        # The model is a named pipe: whoever reads it knows who has begun to load.
        Path(params.model.path).write_text(str(os.getpid()), encoding="utf-8")
        ctypes.PyDLL(None).pause()
