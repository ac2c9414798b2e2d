"""Record vectors: ``python -m tests.vectors [--again NAME]...``; or ``--page`` for the document."""

import argparse
import sys
from collections.abc import Sequence

from tests.vectors.page import PAGE, renewed
from tests.vectors.record import recorded
from tests.vectors.repertoire import REPERTOIRE
from tests.vectors.vector import path_of, write


def main(argv: Sequence[str] | None = None) -> int:
    """Record the scenes without a vector, and those named, or renew the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.vectors", description=__doc__)
    parser.add_argument(
        "--again",
        action="append",
        default=[],
        metavar="NAME",
        choices=sorted(REPERTOIRE),
        help="record this one anew: what old clients rely on changes",
    )
    parser.add_argument("--page", action="store_true", help="renew what is generated in the page")
    options = parser.parse_args(argv)
    if options.page:
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    for name, scene in REPERTOIRE.items():
        if name in options.again or not path_of(name).exists():
            write(name, recorded(scene))
            sys.stdout.write(f"recorded {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
