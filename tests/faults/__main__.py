"""``python -m tests.faults [PART]``: make the faults (with PART in their names), tell what happens.

Exit status 1 if a promise was broken.
"""

import errno
import sys
import tempfile
from pathlib import Path

from tests.faults.matrix import ELSEWHERE, MATRIX, PROMISES, Row, rows
from tests.faults.whole_files import CASES, WRITERS, Found, Writer, tries, what_it_promises

FOLDER = "ds-"


def main(part: str) -> int:
    """Print the matrix; return the exit status."""
    found = [*_processes(part), *_files(part)]
    print("| fault | operation | what the person sees | promises |")  # noqa: T201 - the output
    print("|---|---|---|---|")  # noqa: T201
    for row, _ in found:
        held = "; ".join(row.broken) or ("held" if row.holds else f"expected: {row.expected}")
        print(f"| {row.fault} | {row.operation} | {row.seen} | {held} |")  # noqa: T201
    print("\n| held elsewhere | test |\n|---|---|")  # noqa: T201
    for fault, tests in ELSEWHERE.items():
        print(f"| {fault} | {', '.join(tests)} |")  # noqa: T201
    broken = sum(not row.holds for row, _ in found)
    injected = sum(number for _, number in found)
    print(f"\nPromises: {PROMISES}.")  # noqa: T201
    print(f"Faults injected: {injected}. Promises broken: {broken}.")  # noqa: T201
    return 1 if broken else 0


def _processes(part: str) -> list[tuple[Row, int]]:
    """Return what comes of operations on a daemon, each with the number of faults: one."""
    found = []
    for fault in MATRIX:
        if part in fault.name:
            with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
                found += [(row, int(row.fault == fault.name)) for row in rows(fault, Path(folder))]
    return found


def _files(part: str) -> list[tuple[Row, int]]:
    """Return what comes of writing files, each with the number of steps that failed."""
    found = []
    cases = [(writer, code, False) for writer, code in CASES]
    cases += [(writer, errno.EIO, True) for writer in WRITERS]
    for writer, code, dies in cases:
        name = f"{errno.errorcode[code]} at each step" + " and all after it" * dies
        if part in name:
            with tempfile.TemporaryDirectory(prefix=FOLDER) as folder:
                seen = list(tries(Path(folder), writer, code, dies=dies))
            found.append((_summary(name, writer, seen, dies=dies), len(seen)))
    return found


def _summary(name: str, writer: Writer, found: list[Found], *, dies: bool) -> Row:
    broken = [each for one in found for each in what_it_promises(writer, one, dies=dies)]
    failed = sum(one.error is not None for one in found)
    seen = f"refused at {failed} of {len(found)} steps, done at the others"
    return Row(name, writer.operation, "", seen, tuple(broken))


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
