"""``pipe``: the protocol in lines of JSON."""

import sys

import click

from devsynthctl.app import App
from devsynthctl.options import as_json, seconds
from devsynthctl.pipe.output import Output
from devsynthctl.pipe.pipe import Pipe


@click.command()
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    metavar="N",
    default=64,
    show_default=True,
    help="Generations and embeddings under way at once; stdin is read on when one has ended. More"
    " than the daemon lets wait (daemon_queue_limit) get the error queue_full.",
)
@click.option(
    "--wait",
    "wait_s",
    type=seconds,
    metavar="S",
    default=0,
    help="How long a line waits for a daemon that is not there, as while it restarts.",
)
@as_json
@click.pass_obj
def pipe(app: App, *, in_flight: int, wait_s: float) -> None:
    """Pass requests on from stdin to the daemon, and its replies to stdout.

    A line is one request, or one reply, of the protocol in JSON. Many may be in flight: the id,
    which you choose, says whose a reply is, and its last one is a "result" or an "error". When
    stdin ends, all that is in flight is waited for; subscriptions are cancelled.

    \b
      $ echo '{"op": "generate", "id": 1, "prompt": "Say hello"}' | devsynthctl pipe
      {"type":"result","id":1,"result":{"model":...,"text":"Hello!",...}}

    The daemon need not run, and may come and go: what it has taken with it gets the error
    "connection_lost", what comes in its absence "daemon_unreachable", at once or after --wait.
    """  # noqa: D301 - click's mark for lines that are not to be filled
    stdin = sys.stdin.fileno() if sys.stdin else None  # closed by whoever started us
    output = Output(sys.stdout.fileno(), on_terminal=app.on_terminal)
    Pipe(app.address, stdin, app.timeout_s, in_flight, wait_s).run(output.write, app.check_reader)
