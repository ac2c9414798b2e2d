"""A soak as a function: the stage is set here, and the play is in ``run``."""

from pathlib import Path

from devsynthd.upstream.weights import demo_weights
from devsynthd.wire.requests import Value
from tests.soak.book import Book
from tests.soak.ledger import Ledger
from tests.soak.report import Report
from tests.soak.run import CONCURRENCY, Run
from tests.soak.supervisor import Supervisor
from tests.soak.upstream import SoakUpstream

CLIENTS, STREAMS = 20, 100
QUEUE_LIMIT = 1000  # so that it is never full


def soak(
    folder: Path, *, seconds: float, clients: int = CLIENTS, streams: int = STREAMS, seed: int = 1
) -> Report:
    """Soak daemons with their files in *folder*, and return the accounts.

    *clients* of the crowd keep *streams* requests in flight, all together, for *seconds*, beside
    all else that goes on; *seed* decides what is done.
    """
    upstream, ledger = SoakUpstream(), Ledger()
    (folder / "tmp").mkdir()
    environ = {
        "DEVSYNTH_DAEMON_MAX_CONCURRENCY": str(CONCURRENCY),
        "DEVSYNTH_DAEMON_QUEUE_LIMIT": str(QUEUE_LIMIT),
        "DEVSYNTH_DAEMON_LOG_FORMAT": "json",
        "DEVSYNTH_DAEMON_SHUTDOWN_GRACE": "2",
        "TMPDIR": str(folder / "tmp"),
    }
    if demo_weights() is not None:
        environ |= {
            "DEVSYNTH_EMBEDDED_ENABLED": "always",
            "DEVSYNTH_EMBEDDED_CONTEXT_LENGTH": "512",
            "DEVSYNTH_EMBEDDED_THREADS": "1",
            "DEVSYNTH_EMBEDDED_IDLE_TIMEOUT": "5",
        }
    file: dict[str, Value] = {
        **upstream.servers[0],
        "llm_model": "m",
        "llm_temperature": 0.5,
        "llm_max_tokens": 1024,
        "llm_first_token_timeout": 300,
        "llm_idle_timeout": 120,
        "llm_connect_timeout": 3,
        "daemon_poll_interval": 2,
    }
    book = Book(folder / "config.toml", file)
    try:
        with Supervisor(folder, environ, ledger.tell) as supervisor:
            run = Run(
                folder,
                supervisor,
                upstream,
                book,
                ledger,
                clients=clients,
                each=streams // clients,
                seed=seed,
            )
            return run.report(seconds)
    finally:
        upstream.close()
