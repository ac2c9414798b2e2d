"""Whether the budgets hold: ``python -m tests.bench``, or ``make bench``.

Measures every budget beside its reference, in turns, on this machine and in one run, and prints a
table; the exit status is 1 if one is missed. With --growth it measures how costs grow instead.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.bench import commands, crowd, generating, growth, listing, resting, saving
from tests.bench.figures import Finding
from tests.bench.rig import Rig, clean, rig
from tests.bench.table import as_json, growth_json, growth_table, table

ROWS: dict[str, Callable[[Rig], list[Finding]]] = {
    "list": listing.round_trip,
    "pipelined": listing.pipelined,
    "generate": generating.generate,
    "stream": generating.stream,
    "first-chunk": generating.first_chunk,
    "crowd": crowd.crowd,
    "save": saving.saved,
    "models": commands.models,
    "start": commands.start,
    "idle": resting.idle,
    "memory": resting.used,  # last: of the daemon that all others were measured on
}


def main() -> None:
    """Measure in a folder of its own, print and exit by the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(ROWS)}; none: all")
    parser.add_argument("--growth", action="store_true", help="how costs grow with sizes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if unknown := [name for name in given.rows if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if given.rows and given.growth:
        parser.error("--growth measures all that it measures: name no row")
    if sys.platform != "linux":
        parser.error("it reads /proc, which only Linux has")
    clean(os.environ)
    with tempfile.TemporaryDirectory(prefix="ds-") as folder, rig(Path(folder)) as ground:
        if given.growth:
            held = show_growth(ground, as_object=given.json)
        else:
            names = [name for name in ROWS if name in given.rows or not given.rows]
            held = show_rows(ground, names, as_object=given.json)
    sys.exit(not held)


def show_rows(ground: Rig, names: list[str], *, as_object: bool) -> bool:
    """Measure the rows *names*, print them, and return whether all budgets hold."""
    before = machine()
    findings = []
    for name in names:
        tell(f"measuring {name}")
        findings += ROWS[name](ground)
    if as_object:
        write_json({"machine": before, "findings": as_json(findings)})
    else:
        sys.stdout.write(f"{described(before)}\n\n{table(findings)}")
    return all(each.met for each in findings)


def show_growth(ground: Rig, *, as_object: bool) -> bool:
    """Measure how costs grow, print that, and return whether none grows worse than its size."""
    before = machine()
    curves = []
    for measure in growth.CURVES:
        tell(f"measuring {measure.__name__.replace('_', ' ')}")
        curves += measure(ground)
    if as_object:
        write_json({"machine": before, "curves": growth_json(curves)})
    else:
        sys.stdout.write(f"{described(before)}\n\n{growth_table(curves)}")
    return all(each.verdict != "worse" for each in curves)


def machine() -> dict[str, str | int | float]:
    """Return what the figures depend on."""
    return {
        "cores": os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def described(facts: dict[str, str | int | float]) -> str:
    """Return *facts* as a line."""
    return "{cores} cores with a load of {load}, {system}, Python {python}".format(**facts)


def tell(what: str) -> None:
    """Say *what* is under way, to a person who waits."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{what}\n")


def write_json(value: object) -> None:
    """Print *value*."""
    sys.stdout.write(f"{msgspec.json.encode(value).decode()}\n")


if __name__ == "__main__":
    main()
