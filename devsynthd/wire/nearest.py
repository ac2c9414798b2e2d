"""What a misspelled name was probably meant to be."""

from collections.abc import Iterable
from itertools import islice

MAX_COMPARED = 500
MAX_COMPARED_CHARS = 96
"""No more names are compared, and no longer ones: of both there may be thousands, and the one who
has to wait for it is everybody."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that is spelled most like *name*, if any is."""
    matches = near(name, known, 1, cutoff=0.6)
    return matches[0] if matches else None


def near(name: str, known: Iterable[str], count: int, *, cutoff: float) -> list[str]:
    """Return at most *count* of *known* that are spelled like *name*, the best first.

    *cutoff* is how alike they are at least, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    if len(name) > MAX_COMPARED_CHARS:
        return []
    short = (each for each in known if len(each) <= MAX_COMPARED_CHARS)
    return difflib.get_close_matches(name, list(islice(short, MAX_COMPARED)), count, cutoff)
