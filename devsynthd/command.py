"""From argv to settings to run to exit status."""

import asyncio
import gc
import logging
import os
import signal
import sys
from contextlib import suppress

import click

from devsynthd import __version__
from devsynthd.daemon import Daemon
from devsynthd.host.activation import Inherited, inherited_socket, turn_away
from devsynthd.host.limits import keep_little_free_memory, keep_no_core, raise_descriptor_limit
from devsynthd.host.logs import setup_logging
from devsynthd.host.notify import Notifier
from devsynthd.host.processes import wait_without_threads
from devsynthd.host.redaction import Redaction, passwords_of
from devsynthd.plan import Plan, make_plan
from devsynthd.self_check import SocketLost
from devsynthd.settings.schema import BY_KEY, Settings
from devsynthd.transport.claim import ClaimRefused
from devsynthd.wire.errors import ConfigInvalid

logger = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h
SAME_SIGNAL_S = 0.2


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="PATH", help="The configuration file.")
@click.option("--socket", metavar="ADDR", help="Where to listen: a path, or ipc://PATH.")
@click.option("--log-level", metavar="L", help=BY_KEY["daemon_log_level"].help)
@click.option("--log-format", metavar="F", help=BY_KEY["daemon_log_format"].help)
@click.option("--check", is_flag=True, help="Validate the configuration and exit.")
@click.version_option(__version__, prog_name="devsynthd", message="%(prog)s %(version)s")
def command(
    *,
    config: str | None,
    socket: str | None,
    log_level: str | None,
    log_format: str | None,
    check: bool,
) -> None:
    """Run the daemon in the foreground, until SIGTERM or `devsynthctl shutdown`."""
    flags = {"daemon_log_level": log_level, "daemon_log_format": log_format}
    notifier = Notifier({} if check else os.environ)
    inherited = None
    try:
        inherited = inherited_socket({} if check else os.environ)
        plan = make_plan(config, socket, flags, os.environ, inherited)
    except ConfigInvalid as exc:
        _refuse(exc, notifier, inherited)
        _complain(str(exc), exc.hint)
        sys.exit(EXIT_CONFIG)
    if check:
        there = "" if plan.prepared.loaded.exists else " does not exist: the defaults hold"
        click.echo(f"{plan.source.path}{there or ' is valid'}")
        for warning in plan.prepared.warnings:
            _complain(f"warning: {warning}")
        return
    sys.exit(_run(plan, notifier, inherited))


def _refuse(why: Exception, notifier: Notifier, inherited: Inherited | None) -> None:
    """Tell the service manager why nobody is served, and hang up on who waits."""
    notifier.status(str(why))
    if inherited is not None:
        turn_away(inherited)


def _run(plan: Plan, notifier: Notifier, inherited: Inherited | None) -> int:
    """Run the daemon to its end; return the exit status."""
    keep_no_core()
    settings, redaction = plan.prepared.loaded.settings, Redaction(always=passwords_of(os.environ))
    redaction.learn(settings.llm_api_key)
    _set_up_logging(settings, redaction)
    for warning in plan.prepared.warnings:
        logger.warning("%s", warning)
    raise_descriptor_limit()
    keep_little_free_memory()
    gc.freeze()  # what was imported stays: to look through it would stop the loop for 10 ms
    try:
        asyncio.run(_until_signalled(plan, notifier, redaction))
    except ClaimRefused as exc:
        _refuse(exc, notifier, inherited)
        _complain(str(exc))
        return EXIT_FAILED
    except SocketLost as exc:  # logged when it was noticed
        notifier.status(str(exc))
        return EXIT_FAILED
    except Exception:
        logger.exception("the daemon failed")
        return EXIT_FAILED
    return 0


def _set_up_logging(settings: Settings, redaction: Redaction) -> None:
    setup_logging(
        settings.daemon_log_level,
        settings.daemon_log_format,
        stream=sys.stderr,
        environ=os.environ,
        redaction=redaction,
    )


async def _until_signalled(plan: Plan, notifier: Notifier, redaction: Redaction) -> None:
    """Run the daemon; the first signal drains it, a second one ends it at once.

    What follows within `SAME_SIGNAL_S` is no second one: timeout(1) signals its child, and then
    the group that the child is in; a program that hands Ctrl-C on was not the only one to get it.
    """
    loop = asyncio.get_running_loop()
    wait_without_threads(loop)
    daemon = Daemon(
        plan,
        set_up_logging=lambda settings: _set_up_logging(settings, redaction),
        notifier=notifier,
        redaction=redaction,
    )
    on_terminal = _is_on_terminal()  # asked now: a terminal that has been closed is none
    first_at: float | None = None

    def on_signal(number: int) -> None:
        nonlocal first_at
        if first_at is None:
            first_at = loop.time()
            daemon.stop()
        elif loop.time() - first_at > SAME_SIGNAL_S:
            logger.warning("a second signal: ending at once")
            os._exit(128 + number)  # the engine sees its pipe close and ends by itself
        else:
            logger.info("the same signal once more: a second one, later, ends at once")

    def on_hangup() -> None:
        if on_terminal:
            on_signal(signal.SIGHUP)
        else:
            logger.info("SIGHUP: reading the settings anew")
            daemon.reload()

    loop.add_signal_handler(signal.SIGTERM, on_signal, signal.SIGTERM)
    loop.add_signal_handler(signal.SIGINT, on_signal, signal.SIGINT)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    await daemon.run()


def _is_on_terminal() -> bool:
    """Return whether the daemon runs on a terminal, whose closing sends SIGHUP."""
    return any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _complain(message: str, hint: str | None = None) -> None:
    """Tell the person at the terminal, or the log of the service manager."""
    with suppress(OSError):  # the status says it too, and must not become another one
        for line in message.splitlines():
            click.echo(f"devsynthd: {line}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)
