"""``devsynthctl pipe`` as a process: lines go in, and replies are waited for."""

import io
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from tests.support.daemon import CTL
from tests.support.lines import Lines

WAIT_S = 15.0

Reply = dict[str, Any]


class Piped:
    """The process; its output is read as it comes, unless *reading* has to wait."""

    def __init__(self, process: "subprocess.Popen[str]", *, reads: bool) -> None:
        self.process = process
        self._out = Lines(cast("IO[str]", process.stdout)) if reads else None
        self._err = Lines(cast("IO[str]", process.stderr))

    def write(self, text: str) -> None:
        """Write *text* to its stdin."""
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def write_bytes(self, data: bytes) -> None:
        """Write *data* to its stdin, text or not."""
        assert isinstance(self.process.stdin, io.TextIOWrapper)
        self.process.stdin.buffer.write(data)

    def send(self, op: str, request_id: object, **fields: object) -> None:
        """Send one request."""
        self.write(json.dumps({"op": op, "id": request_id, **fields}) + "\n")

    def read_on(self) -> None:
        """Read what it writes from now on."""
        self._out = Lines(cast("IO[str]", self.process.stdout))

    def read_one(self) -> str:
        """Read one line, and no more, of what it writes."""
        assert self.process.stdout
        return self.process.stdout.readline()

    def said(self) -> str:
        """Return what it has written to stderr, once it has ended."""
        return self._err.wait_end()

    def reply(self, kind: str, request_id: object) -> Reply:
        """Return the first reply of *kind* to the request, once it has come."""
        assert self._out
        line = self._out.wait_for(f'{{"type":"{kind}","id":{json.dumps(request_id)},')
        reply: Reply = json.loads(line)
        return reply

    def result(self, request_id: object) -> Any:  # noqa: ANN401 - whatever its op has
        """Return the result of the request, once it has come."""
        return self.reply("result", request_id)["result"]

    def error(self, request_id: object) -> Any:  # noqa: ANN401 - looked at by the test
        """Return the error of the request, once it has come."""
        return self.reply("error", request_id)["error"]

    def close(self) -> None:
        """End its stdin."""
        assert self.process.stdin
        self.process.stdin.close()

    def end(self) -> list[Reply]:
        """End its stdin; return all replies, once it has exited with 0 and said nothing else."""
        self.close()
        return self.ended(0)

    def ended(self, status: int) -> list[Reply]:
        """Return all replies, once it has exited with *status* and said nothing else."""
        assert self._out
        assert self.process.wait(WAIT_S) == status, self._err.text()
        assert self.said() == ""
        return [json.loads(line) for line in self._out.wait_end().splitlines()]


@contextmanager
def piped(
    environ: Mapping[str, str], *options: str, before: tuple[str, ...] = (), reads: bool = True
) -> Iterator[Piped]:
    """Start ``devsynthctl [before] pipe [options]``; it has ended after the block."""
    process = subprocess.Popen(
        [*CTL, *before, "pipe", *options],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    running = Piped(process, reads=reads)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream
            with suppress(BrokenPipeError):
                stream.close()


def last_of(replies: list[Reply]) -> dict[object, Reply]:
    """Return the last reply to each request, of which there is one."""
    last = [reply for reply in replies if reply["type"] in ("result", "error")]
    found = {reply["id"]: reply for reply in last}
    assert len(found) == len(last)
    return found
