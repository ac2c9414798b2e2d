"""Where the sandbox of the service lets the daemon write. Pure, but for following links."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

PROPERTIES = ("ProtectSystem", "ProtectHome", "ReadWritePaths")

_HOMES = (
    "/home",
    "/root",
    "/run/user",
)  # left out of ProtectSystem=strict, whatever its manual says
_BETWEEN = re.compile(r" (?=[-+]*/)")


def may_write(folder: Path, properties: Mapping[str, str]) -> bool:
    """Return whether the daemon may write in *folder*.

    Args:
        folder: Where.
        properties: `PROPERTIES` of the service, as ``systemctl show`` has them; none of them if
            there is no sandbox.
    """
    real = Path(os.path.realpath(folder))
    if any(real.is_relative_to(home) for home in _HOMES):
        is_closed = properties.get("ProtectHome", "no") != "no"
    else:
        is_closed = properties.get("ProtectSystem") == "strict"
    # A path may have blanks: only what follows one tells whether another begins.
    words = _BETWEEN.split(properties.get("ReadWritePaths", ""))
    paths = [os.path.realpath(path) for word in words if (path := word.lstrip("-+"))]
    return not is_closed or any(real.is_relative_to(path) for path in paths)
