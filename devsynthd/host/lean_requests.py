"""Imports requests without what it would guess encodings with: 2.6 MB that the daemon never uses.

Nobody there asks it for a text: all bodies are read as bytes, and are UTF-8.
"""

import sys
import warnings
from contextlib import suppress

_GUESSERS = ("chardet", "charset_normalizer")
_COMPLAINT = "Unable to find acceptable character detection dependency"


def import_lean_requests() -> None:
    """Import requests so, unless it has been imported already or will not have it."""
    if "requests" in sys.modules:
        return
    missing = [name for name in _GUESSERS if name not in sys.modules]
    # None: importing it says that it is not installed (The Python Language Reference, 5.3.1).
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # see above
    warnings.filterwarnings("ignore", _COMPLAINT)
    try:
        with suppress(ImportError):  # a later version may insist: then it is imported as usual
            import requests  # noqa: F401, PLC0415 - for what imports it after this
    finally:
        for name in missing:
            del sys.modules[name]
