"""A person's text editor, on a private copy of what is edited."""

import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from devsynthctl.errors import ClientError
from devsynthd.wire.errors import Cancelled, DevsynthError

USUAL_EDITORS = ("sensible-editor", "vim", "nano", "vi")
"""What is tried where neither VISUAL nor EDITOR is set."""


def editor_command(environ: Mapping[str, str], *, on_terminal: bool) -> list[str]:
    """Return the command that VISUAL, EDITOR or the machine has for editing text.

    What the machine has needs a person who is *on_terminal*.

    Raises:
        ClientError: There is none.
    """
    name = next((each for each in ("VISUAL", "EDITOR") if environ.get(each, "").strip()), None)
    if name is None:
        if not on_terminal:
            raise ClientError(
                "there is no terminal to edit on",
                hint="set one setting with devsynthctl config set KEY VALUE, or name an editor"
                " that needs no terminal in the variable EDITOR",
            )
        found = next(filter(shutil.which, USUAL_EDITORS), None)
        if found is None:
            raise ClientError("there is no editor", hint="name yours in the variable EDITOR")
        return [found]
    try:
        return shlex.split(environ[name])
    except ValueError as exc:
        raise ClientError(
            f"{name} = {environ[name]!r} is not a command: {exc}", hint=f"correct {name}"
        ) from exc


def run_editor(command: list[str], file: Path) -> None:
    """Have a person edit *file*, and wait for the end of it.

    Raises:
        ClientError: The editor cannot be started, or says that it failed.
        Cancelled: It was interrupted.
    """
    try:
        process = subprocess.Popen([*command, str(file)])  # noqa: S603 - it is the user's own
    except OSError as exc:
        raise ClientError(
            f"the editor {command[0]} cannot be started: {exc.strerror}",
            hint="name another one in the variable EDITOR",
        ) from exc
    # On a terminal Ctrl-C goes to both, and is for the editor.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if status == -signal.SIGINT:
        raise Cancelled("the editor was interrupted: nothing is saved")
    if status:
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        raise ClientError(f"the editor {shlex.join(command)} {how}: nothing is saved")


@contextmanager
def private_copy(text: bytes, name: str) -> Iterator[Path]:
    """Give the block a file *name* of its own with *text*, and remove it in the end.

    If the block fails after somebody has changed the file, it stays, and the error says where.

    Raises:
        ClientError: There is no room for it.
        Cancelled: The block was interrupted, or the command is being ended.
    """
    file = _make_copy(text, name)
    try:
        yield file
    except (DevsynthError, click.Abort, KeyboardInterrupt, SystemExit) as exc:
        error = exc if isinstance(exc, DevsynthError) else Cancelled("nothing is saved")
        if file.is_file() and file.read_bytes() != text:
            kept = f"your text is kept in {file}"
            error.hint = f"{error.hint}; {kept}" if error.hint else kept
            error.details["kept"] = str(file)
        else:
            shutil.rmtree(file.parent, ignore_errors=True)
        if error is exc:
            raise
        raise error from None
    shutil.rmtree(file.parent, ignore_errors=True)


def _make_copy(text: bytes, name: str) -> Path:
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="devsynth-"))  # of mode 0700
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(text)
    except OSError as exc:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise ClientError(
            f"there is no room for a copy to edit: {exc.strerror}",
            hint="name another folder for temporary files in the variable TMPDIR",
        ) from exc
    return file
