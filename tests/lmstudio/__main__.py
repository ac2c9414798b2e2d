"""Run the simulator by hand: ``python -m tests.lmstudio --generation v1``, until Ctrl-C.

Point an editor or ``curl`` at it as if it was LM Studio. The models say what they were told.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from tests.lmstudio.clock import WallClock
from tests.lmstudio.completion import Answer, words
from tests.lmstudio.models import CATALOG
from tests.lmstudio.paths import GENERATIONS
from tests.lmstudio.studio import LMStudio
from tests.lmstudio.world import TTL_S, Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; print the address on standard output first."""
    options = _parser().parse_args(argv)
    if options.auth is not None and options.generation != "v1":
        return _complain("--auth needs --generation v1: LM Studio asks for tokens since 0.4.0")
    settings = Settings(
        jit=options.jit, auto_evict=options.auto_evict, ttl_s=options.ttl, token=options.auth
    )
    studio = LMStudio(
        options.generation,
        options.models,
        port=options.port,
        clock=WallClock(),
        settings=settings,
    )
    studio.script.load_s = options.load_seconds
    studio.script.echo = options.say is None
    texts = words(options.say or "")
    studio.script.answer = Answer(texts=texts, pause_s=1 / options.tokens_per_second)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        for key in options.loaded:
            studio.load(key)
        with studio:
            sys.stdout.write(f"{studio.url}\n")
            sys.stdout.flush()
            stop.wait()
    except KeyError as exc:
        return _complain(f"--loaded {exc.args[0]}: no such model; name it in --models too")
    except OSError as exc:
        return _complain(f"port {options.port}: {exc.strerror}; try --port 0 for any free one")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lmstudio", description="Simulate LM Studio's local server."
    )
    add = parser.add_argument
    add("--generation", choices=GENERATIONS, default="v1", help="newest API that it serves (v1)")
    add("--port", type=int, default=1234, help="0 takes any free one (1234)")
    add("--models", nargs="+", default=CATALOG, metavar="KEY", help="what is downloaded")
    add("--loaded", nargs="+", default=[], metavar="KEY", help="what is loaded from the start")
    add("--auth", metavar="TOKEN", help="require this token")
    add("--no-jit", dest="jit", action="store_false", help="load nothing for a request")
    add(
        "--no-auto-evict",
        dest="auto_evict",
        action="store_false",
        help="keep every model that a request has loaded",
    )
    add("--ttl", type=float, default=TTL_S, metavar="SECONDS", help="of idleness (3600)")
    add("--load-seconds", type=float, default=2.0, metavar="SECONDS", help="a load takes (2)")
    add("--tokens-per-second", type=_positive, default=20.0, metavar="NUMBER", help="(20)")
    add("--say", metavar="TEXT", help="what models answer; by default they repeat the question")
    return parser


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return number


def _complain(text: str) -> int:
    sys.stderr.write(f"lmstudio simulator: {text}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
