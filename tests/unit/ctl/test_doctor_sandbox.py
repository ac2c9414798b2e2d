"""Where the daemon may write, by what systemd says of its sandbox."""

from pathlib import Path

import pytest

from devsynthctl.doctor.sandbox import may_write

STRICT = {"ProtectSystem": "strict", "ProtectHome": "read-only"}


@pytest.mark.parametrize(
    ("folder", "properties", "is_open"),
    [
        ("/home/u/dot", STRICT, False),
        ("/home/u/dot", STRICT | {"ReadWritePaths": "-/home/u/.config/devsynth"}, False),
        (
            "/home/u/dot",
            STRICT | {"ReadWritePaths": "-/home/u/.config/devsynth -/home/u/dot"},
            True,
        ),
        ("/home/u/dot/deep", STRICT | {"ReadWritePaths": "+/home/u/dot"}, True),
        ("/home/u/dot", STRICT | {"ReadWritePaths": "-/home/u/dot two"}, False),
        ("/home/u/dot two", STRICT | {"ReadWritePaths": "-/home/u/dot two /x"}, True),
        ("/home/u/dot", {"ProtectSystem": "strict", "ProtectHome": "no"}, True),
        ("/srv/dot", {"ProtectSystem": "strict", "ProtectHome": "no"}, False),
        ("/srv/dot", {"ProtectSystem": "no", "ProtectHome": "read-only"}, True),
        ("/home/u/dot", {"ProtectSystem": "no", "ProtectHome": "yes"}, False),
        ("/home/u/dot", {}, True),
        ("/srv/dot", {}, True),
    ],
)
def test_where_it_may_write(folder: str, properties: dict[str, str], *, is_open: bool) -> None:
    assert may_write(Path(folder), properties) is is_open
