"""Neovim without a screen, told over its own RPC what to do."""

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

import msgspec

from tests.examples.conftest import EXAMPLES
from tests.support.needs import need

WAIT_MS = 10_000

_PREPARE = """
told = {}
vim.notify = function(text) table.insert(told, text) end
shown = function(buffer)
  return table.concat(vim.api.nvim_buf_get_lines(buffer or 0, 0, -1, true), '\\n')
end
"""


class Neovim:
    """One Neovim with the plug-in. In Lua, ``told`` is what was notified, ``shown()`` the text."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._last_id = 0
        self.lua(_PREPARE)

    def call(self, name: str, *arguments: object) -> Any:  # noqa: ANN401 - as the API has it
        """Call a function of its API and return what that returns."""
        self._last_id += 1
        stdin, stdout = (cast("IO[bytes]", pipe) for pipe in self._pipes())
        stdin.write(msgspec.msgpack.encode([0, self._last_id, name, arguments]))
        stdin.flush()
        said = b""
        while piece := stdout.read1():  # type: ignore[attr-defined] # a buffered reader has it
            said += piece
            with contextlib.suppress(msgspec.DecodeError):  # the rest is to come
                _, _, error, result = msgspec.msgpack.decode(said)
                assert error is None, error
                return result
        raise AssertionError(f"Neovim is gone; it said {said!r}")

    def lua(self, code: str, *arguments: object) -> Any:  # noqa: ANN401 - as the code has it
        """Run Lua code and return what that returns; *arguments* are ``...`` there."""
        return self.call("nvim_exec_lua", code, arguments)

    def wait(self, condition: str) -> None:
        """Wait until a Lua expression is true, while Neovim goes about its business."""
        holds = self.lua(f"return (vim.wait({WAIT_MS}, function() return {condition} end, 5))")
        assert holds, (condition, self.lua("return {shown(), told}"))

    def type(self, keys: str) -> None:
        """Type *keys*, written as in a mapping."""
        self.call("nvim_input", keys)

    def edit(self, text: str) -> None:
        """Have the current buffer hold *text*."""
        self.lua("vim.api.nvim_buf_set_lines(0, 0, -1, true, ...)", text.split("\n"))

    def _pipes(self) -> tuple[object, object]:
        return self._process.stdin, self._process.stdout


@contextlib.contextmanager
def neovim(environ: Mapping[str, str]) -> Iterator[Neovim]:
    """Run Neovim until the end of the block."""
    nvim = need("nvim", "apt-get install neovim")
    with subprocess.Popen(
        [nvim, "--embed", "--headless", "--clean", "--cmd", f"set rtp^={EXAMPLES / 'neovim'}"],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Neovim(process)
        finally:
            process.kill()
