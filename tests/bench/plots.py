"""The plots of the README, measured and drawn: ``python -m tests.bench.plots``, or ``make plots``.

Needs matplotlib, the extra ``bench``. The same figures make the same files, byte by byte.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.bench.curve import Point
from tests.bench.figures import Pair, percentile
from tests.bench.generating import first_chunk_pair, generate_pair
from tests.bench.growth import streams_by_tokens
from tests.bench.rig import clean, rig

DOCS = Path(__file__).parents[2] / "docs"
LATENCY, TOKENS = "latency.svg", "tokens.svg"

STYLE: dict[Any, Any] = {  # its keys are literals, some hundred of them
    "svg.hashsalt": "devsynthd",  # else the names inside are random
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
OURS, REFERENCE = "#1f77b4", "#7f7f7f"
PERCENTS = range(1, 100)


def draw_latency(pairs: Mapping[str, Pair], file: Path) -> None:
    """Draw, for each of *pairs* (milliseconds), how many answers came within which time."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        axes = figure.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        for axis, (title, pair) in zip(axes, pairs.items(), strict=True):
            for values, label, colour in (
                (pair.reference, "direct", REFERENCE),
                (pair.ours, "through devsynthd", OURS),
            ):
                times = [percentile(values, percent) for percent in PERCENTS]
                axis.plot(times, PERCENTS, label=label, color=colour)
            axis.set_title(title, fontsize=10)
            axis.set_xlabel("milliseconds")
            axis.set_xlim(left=0)
        axes[0].set_ylabel("% of answers within")
        axes[0].legend(frameon=False, loc="lower right")
        _save(figure, file)


def draw_tokens(points: Sequence[Point], file: Path) -> None:
    """Draw how long streams take (milliseconds) by their tokens."""
    sizes = [point.size for point in points]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        axis = figure.subplots()
        reference = [point.reference for point in points]
        axis.loglog(sizes, reference, "o--", label="direct", color=REFERENCE)
        axis.loglog(sizes, [point.cost for point in points], "o-", label="devsynthd", color=OURS)
        axis.set_xlabel("tokens")
        axis.set_ylabel("milliseconds")
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.yaxis.set_major_formatter("{x:,.0f}")
        axis.legend(frameon=False)
        _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def main() -> None:
    """Measure in a folder of its own, and draw into ``docs``."""
    clean(os.environ)
    with tempfile.TemporaryDirectory(prefix="ds-") as folder, rig(Path(folder)) as ground:
        pairs = {
            "16 tokens, all at once": generate_pair(ground),
            "First token, at 200 tokens/s": first_chunk_pair(ground),
        }
        points = streams_by_tokens(ground)[0].points
    draw_latency(pairs, DOCS / LATENCY)
    draw_tokens(points, DOCS / TOKENS)
    sys.stdout.write(f"{DOCS / LATENCY}\n{DOCS / TOKENS}\n")


if __name__ == "__main__":
    main()
