"""Imports requests without what the daemon never uses of it: 3 MB.

That is what would guess encodings, as nobody asks it for a text (all bodies are read as bytes, and
are UTF-8), and what would tell the version of a package for HTTP/2.
"""

import sys
import warnings
from contextlib import suppress
from types import ModuleType

_GUESSERS = ("chardet", "charset_normalizer")
_METADATA = "importlib.metadata"
_COMPLAINT = "Unable to find acceptable character detection dependency"


def import_lean_requests() -> None:
    """Import requests so, unless it has been imported already or will not have it."""
    if "requests" in sys.modules:
        return
    missing = [name for name in (*_GUESSERS, _METADATA) if name not in sys.modules]
    # None: importing it says that it is not installed (The Python Language Reference, 5.3.1).
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # see above
    if _METADATA in missing:
        sys.modules[_METADATA] = _Metadata(_METADATA)
    warnings.filterwarnings("ignore", _COMPLAINT)
    try:
        with suppress(ImportError):  # a later version may insist: then it is imported as usual
            import requests  # noqa: F401, PLC0415 - for what imports it after this
    finally:
        for name in missing:
            del sys.modules[name]


class _Metadata(ModuleType):
    """Stands for ``importlib.metadata`` with whoever imports but its ``version``."""

    @staticmethod
    def version(name: str) -> str:
        """Return the version of the package *name*, as the real one does, which is there by now."""
        from importlib.metadata import version  # noqa: PLC0415 - see above

        return version(name)
