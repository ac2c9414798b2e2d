"""``doctor``: every link from the socket to an answer, tried and explained."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import structs

from devsynthctl import exits
from devsynthctl.app import App
from devsynthctl.options import as_json
from devsynthctl.render.as_json import json_line
from devsynthctl.render.doctor import COLUMNS, is_ok, row, summary
from devsynthctl.render.text import printable, tab_separated
from devsynthd.wire.text import named

if TYPE_CHECKING:
    from devsynthctl.call import OnProgress
    from devsynthctl.doctor.trouble import Finding

PATIENCE_S = 10.0
"""How long the daemon may take for what it answers without asking anybody."""

_STDOUT = "-"


@click.command()
@click.option("--no-generate", is_flag=True, help="Ask no model for an answer.")
@click.option(
    "--report",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Write what helps with a bug report to FILE, without secrets; - is standard output.",
)
@as_json
@click.pass_context
def doctor(ctx: click.Context, *, no_generate: bool, report: str | None) -> None:
    """Check every link from the daemon's socket to an answer, and tell what mends it.

    The exit status is 0 if no check has failed, else 1. An answer may take 120 seconds, or what
    --timeout says.
    """
    app = ctx.ensure_object(App)
    if report == _STDOUT and app.as_json:
        raise click.UsageError("--json and --report - both write to standard output", ctx)
    if report not in (None, _STDOUT) and Path(report or "").exists():
        raise click.UsageError(f"{report} exists already: name another file, or remove it", ctx)
    if report is None:
        findings, _ = _examine(app, generates=not no_generate, is_quiet=False)
    else:
        findings = _examine_and_report(app, report, generates=not no_generate)
    if not is_ok(findings):
        ctx.exit(exits.FAILURE)


def _examine_and_report(app: App, report: str, *, generates: bool) -> list["Finding"]:
    from devsynthctl.doctor.report_file import report_file  # noqa: PLC0415 - for this only

    is_quiet = report == _STDOUT
    with report_file(report) as write:
        findings, report_of = _examine(app, generates=generates, is_quiet=is_quiet)
        write(printable(report_of()))
    if not (is_quiet or app.as_json):
        app.note(f"the report is in {named(Path(report))}: look through it before you send it")
    return findings


def _examine(
    app: App, *, generates: bool, is_quiet: bool
) -> tuple[list["Finding"], Callable[[], str]]:
    """Do the checks, and tell what came of them, unless *is_quiet*.

    Return the findings, and what makes the report.
    """
    # Slow to import, and for this only.
    from devsynthctl.attempts import raise_shutdown  # noqa: PLC0415 - see above
    from devsynthctl.client import Client  # noqa: PLC0415 - see above
    from devsynthctl.doctor.collect import (  # noqa: PLC0415 - see above
        home_of,
        scrub_for,
        surroundings,
    )
    from devsynthctl.doctor.daemon_side import DaemonSide  # noqa: PLC0415 - see above
    from devsynthctl.doctor.examination import (  # noqa: PLC0415 - see above
        GENERATION_S,
        Examination,
    )
    from devsynthctl.doctor.facts import Facts  # noqa: PLC0415 - see above
    from devsynthctl.doctor.report import report_text  # noqa: PLC0415 - see above

    def connect() -> Client:
        patience_s = min(PATIENCE_S, app.timeout_s or PATIENCE_S)
        return Client(
            app.address, timeout=patience_s, on_idle=app.check_reader, on_away=raise_shutdown
        )

    facts = Facts()
    daemon = DaemonSide(app.address, os.environ, connect, facts)
    examination = Examination(
        daemon,
        facts,
        timeout_s=app.timeout_s or GENERATION_S,
        generates=generates,
        home=home_of(os.environ),
        watch=lambda: _watched(app),
    )

    findings: list[Finding] = []
    is_told = not (app.as_json or is_quiet)
    if is_told and not app.on_terminal:
        app.print_now(tab_separated([COLUMNS]))
    with closing(examination.findings()) as coming:
        for each in coming:
            # Anew each time: the key of the config file is known later than that of the shell.
            hide = scrub_for(daemon.secrets, os.environ).secrets
            finding = structs.replace(
                each, message=hide(each.message), remedy=each.remedy and hide(each.remedy)
            )
            findings.append(finding)
            if is_told:
                _tell(app, finding)
    _sum_up(app, findings, is_quiet=is_quiet)

    def report() -> str:
        text = report_text(findings, facts, surroundings(facts, os.environ))
        return scrub_for(daemon.secrets, os.environ).all(text)

    return findings, report


def _tell(app: App, finding: "Finding") -> None:
    """Tell a person or a program at once what came of a check."""
    if not app.on_terminal:
        app.print_now(tab_separated([row(finding)]))
        return
    from devsynthctl.render.findings import draw  # noqa: PLC0415 - slow, and for eyes only

    draw(finding, sys.stdout, color=app.color)


def _sum_up(app: App, findings: list["Finding"], *, is_quiet: bool) -> None:
    if app.as_json:
        app.print(json_line({"checks": findings, "ok": is_ok(findings)}))
    elif app.on_terminal and not is_quiet:
        app.print(f"\n{summary(findings)}\n")
    else:
        app.note(summary(findings))


@contextmanager
def _watched(app: App) -> Iterator["OnProgress | None"]:
    """Tell on a terminal, while the block lasts, that something is waited for."""
    with app.waiting(None) as waiting:
        yield waiting.tell if waiting else None
