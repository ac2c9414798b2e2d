"""One child process of the embedded engine, from its start to its end."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import cast

import msgspec

from devsynthd.host.limits import SHORTAGE_HINT
from devsynthd.host.processes import start_process
from devsynthd.upstream.engine_log import LogTail, describe_exit
from devsynthd.upstream.engine_process import Listening, Order
from devsynthd.upstream.weights import INSTALL_ENGINE, INSTALL_WEIGHTS
from devsynthd.wire.errors import ModelLoadFailed

logger = logging.getLogger(__name__)

END_GRACE_S = 2.0
"""How long the child may take to end when told to, and again when killed."""

READ_BYTES = 4096


class Child:
    """A running child process. Made by ``run_child``, which also ends it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._process = process
        self._stdin = cast("asyncio.StreamWriter", process.stdin)
        self._stdout = cast("asyncio.StreamReader", process.stdout)
        self._log = LogTail()
        self._log_reader = asyncio.create_task(self._read_log())

    async def load(self, order: Order) -> int:
        """Tell the child what to serve; return the port on which it does, once it does.

        Raises:
            ModelLoadFailed: It ended instead.
        """
        self._stdin.write(msgspec.json.encode(order) + b"\n")
        line = await self._stdout.readline()
        try:
            port = msgspec.json.decode(line, type=Listening).port
        except msgspec.DecodeError:
            status, reason = await self._last_words()
            raise load_failure(Path(order.model_path), status, reason) from None
        self._log.clear()  # what it said while it loaded explains no later crash
        return port

    async def ended(self) -> str:
        """Wait until the child has ended by itself; return in words how."""
        status, reason = await self._last_words()
        return f"{describe_exit(status)}: {reason}" if reason else describe_exit(status)

    async def end(self) -> None:
        """End the child if it has not ended yet. Bounded: it is told to, then killed."""
        for stop in (self._stdin.close, self._process.kill):
            if self._process.returncode is not None:
                break
            with contextlib.suppress(TimeoutError, ProcessLookupError):
                stop()
                async with asyncio.timeout(END_GRACE_S):
                    await self._process.wait()
        else:
            if self._process.returncode is None:
                logger.error("the embedded engine (pid %d) does not end when killed", self.pid)
        self._log_reader.cancel()

    async def _last_words(self) -> tuple[int, str]:
        """Wait for the child's end; return its exit status and what its log says of the reason."""
        status = await self._process.wait()
        await asyncio.wait([self._log_reader], timeout=END_GRACE_S)  # to the last line
        return status, self._log.reason()

    async def _read_log(self) -> None:
        stderr = cast("asyncio.StreamReader", self._process.stderr)
        while data := await stderr.read(READ_BYTES):
            self._log.feed(data)


@contextlib.asynccontextmanager
async def run_child(command: Sequence[str]) -> AsyncIterator[Child]:
    """Start *command*; when this is left, the process has ended.

    Raises:
        ModelLoadFailed: It cannot be started.
    """
    try:
        process = await start_process(
            command,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # away from the terminal, whose Ctrl-C is for the daemon
        )
    except OSError as exc:
        raise ModelLoadFailed(
            f"the embedded engine's process cannot be started: {exc.strerror or exc}",
            hint=SHORTAGE_HINT,
        ) from exc
    child = Child(process)
    try:
        yield child
    finally:
        await child.end()


def load_failure(model_path: Path, status: int, reason: str) -> ModelLoadFailed:
    """Return why no model was loaded, from how the child ended and from its log's *reason*."""
    if status == os.EX_UNAVAILABLE:
        return ModelLoadFailed(
            "the embedded engine (xllamacpp) is not installed", hint=INSTALL_ENGINE
        )
    if not os.access(model_path, os.R_OK):
        return ModelLoadFailed(
            f"the embedded engine's model file cannot be read: {model_path}", hint=INSTALL_WEIGHTS
        )
    causes = [describe_exit(status)] if status < 0 or not reason else []
    causes += [reason] if reason else []
    return ModelLoadFailed(
        f"the embedded engine could not load {model_path}: {': '.join(causes)}",
        hint="embedded_model_path must be a GGUF model that fits into the memory together with a"
        " context of embedded_context_length tokens.",
    )
