"""What a misspelled name was probably meant to be."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that is spelled most like *name*, if any is."""
    import difflib  # noqa: PLC0415 - only a mistake pays for it

    matches = difflib.get_close_matches(name, list(known), n=1)
    return matches[0] if matches else None
