"""Lines to ``devsynthctl pipe``: each that is not blank gets one last reply."""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from devsynthd.wire.codec import Encoding, Undecodable, decode_request
from devsynthd.wire.requests import Shutdown
from tests.fuzz.damage import damaged, torn, written
from tests.fuzz.messages import check_error, is_endless, served
from tests.fuzz.requests import FIELD_NAMES, right_fields
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target
from tests.support.daemon import CTL

PATIENCE_S = 10.0
_BLANK = b" \t\r"
_BOM = b"\xef\xbb\xbf"

_LINES: st.SearchStrategy[bytes] = mostly(
    torn(damaged(right_fields(), FIELD_NAMES).map(lambda pairs: written(pairs, Encoding.JSON))),
    st.binary(max_size=40),
    st.sampled_from([b"", b" \r", b"[]", b"{}", b"null", _BOM, _BOM + b'{"op":"ping","id":1}\r']),
    tenths=9,
).map(lambda line: line.replace(b"\n", b" "))


class Pipe:
    """The process, which asks the daemon that *environ* names; another one, if it has ended."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [*CTL, "pipe"],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._rest = b""

    def check(self, lines: Sequence[bytes]) -> None:
        """Fail unless each of *lines* has one last reply."""
        try:
            self._hold(lines)
        except BaseException:
            self.close()
            self._start()
            raise

    def _hold(self, lines: Sequence[bytes]) -> None:
        sent: list[bytes] = []
        cancels: list[bytes] = []
        for line in lines:
            try:
                request = decode_request(line.removeprefix(_BOM).strip(_BLANK), Encoding.JSON)
            except Undecodable:
                request = None
            if isinstance(request, Shutdown):
                continue
            sent.append(line)
            if is_endless(request):
                assert request is not None
                fields = {"op": "cancel", "id": f"end {len(cancels)}", "target": request.id}
                cancels.append(json.dumps(fields).encode())
        expected = sum(bool(line.removeprefix(_BOM).strip(_BLANK)) for line in sent) + len(cancels)
        assert self._process.stdin
        self._process.stdin.write(b"".join(line + b"\n" for line in [*sent, *cancels]))
        while expected:
            reply = self._reply()
            if reply["type"] == "error":
                check_error(reply["error"])
            expected -= reply["type"] in ("error", "result")
        self._process.stdin.write(b'{"op":"ping","id":"the last"}\n')
        assert self._reply()["id"] == "the last"

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout
        until = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            left_s = until - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, left_s))
            assert ready, "a line has no last reply"
            more = os.read(self._process.stdout.fileno(), 65_536)
            assert more, f"it has ended: {self._said()}"
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _said(self) -> str:
        assert self._process.stderr
        return self._process.stderr.read().decode()

    def close(self) -> None:
        """End it; fail if it has said anything but its replies."""
        self._process.kill()
        _, said = self._process.communicate()
        assert not said, said


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    with served(folder) as daemon:
        pipe = Pipe(daemon.process.environ)
        try:
            yield pipe.check
        finally:
            pipe.close()


PIPE = Target("pipe", st.lists(_LINES, min_size=1, max_size=4), _opened, share=20, bodies=len)
