"""What whole processes take: ``devsynthctl models``, and a daemon that starts."""

import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from tests.bench.figures import Budget, Finding, Pair, beside, p50, p99
from tests.bench.rig import Rig, first_answer, start_daemon
from tests.bench.timing import in_turns, took_ms
from tests.support.terminal import shown_on_terminal

IMPORTS = "import click, zmq, msgspec"
BESIDE = f'python -c "{IMPORTS}"'
PIPED = Budget("devsynthctl models, piped", "ms", 1.6, of="ratio", beside=BESIDE)
TERMINAL = Budget("devsynthctl models, terminal", "ms", 2.5, of="ratio", beside=BESIDE)
START = Budget("daemon start to first answer", "ms", 400)

ROUNDS, STARTS = 25, 15
LIMIT_S = 30.0


def models(rig: Rig) -> list[Finding]:
    """Run the command as scripts and as people do."""
    command = [str(Path(sys.executable).with_name("devsynthctl")), "models"]
    environ = rig.daemon.environ

    def run(*words: str) -> None:
        # The pipe tells of the end at once; to wait with a limit for a process is to look at it now
        # and then, at last each 50 ms.
        subprocess.run(words, env=environ, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S)

    def show() -> None:
        status, _ = shown_on_terminal(command, environ)
        assert status == 0, f"{command} has ended with status {status}"

    def bare() -> None:
        run(sys.executable, "-c", IMPORTS)

    ways = (partial(took_ms, act) for act in (lambda: run(*command), show, bare))
    piped, shown, imports = in_turns(*ways, rounds=ROUNDS)
    return [beside(PIPED, Pair(piped, imports)), beside(TERMINAL, Pair(shown, imports))]


def start(rig: Rig) -> list[Finding]:
    """Start a daemon again and again, from the command to the answer to a ping."""
    folder = rig.folder / "start"
    folder.mkdir()

    def started_ms() -> float:
        with ExitStack() as exits:

            def start_one() -> None:
                first_answer(exits.enter_context(start_daemon(folder, rig.upstream)))

            return took_ms(start_one)

    (times,) = in_turns(started_ms, rounds=STARTS)
    return [Finding(budget=START, figure=p50(times), p99=p99(times))]
