"""Which room may import which: requests travel one way, and imports with them."""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS = {
    "wire": set[str](),
    "transport": {"wire", "host"},
    "settings": {"wire", "host"},
    "host": {"wire"},
    "upstream": {"wire", "host"},
    "catalog": {"wire", "upstream", "host"},
    "scheduling": {"wire"},
    "service": {"wire", "catalog", "scheduling", "upstream", "settings", "host"},
}
"""What each room of the daemon may import besides itself."""

EVERYWHERE = {
    "__main__.py",
    "assembly.py",
    "changes.py",
    "command.py",
    "daemon.py",
    "plan.py",
    "self_check.py",
}
"""The modules that know every room."""

CLIENT_MAY_IMPORT = {"", "wire", "settings", "host"}  # "" is the package itself: the version

CLIENT_MAY_READ = "devsynthd.catalog.cache_file"
"""How the cache is read: the one module of another room that the client may import too."""


CLIENT_MAY_PROBE = "devsynthd.upstream.probe"
"""How ``doctor`` tries the links to the server as the daemon would: for that package alone."""

DOCTOR = ROOT / "devsynthctl" / "doctor"


@functools.cache
def imported(file: Path) -> tuple[str, ...]:
    """Return the full name of each module that *file* imports, and of each name from a package."""
    return tuple(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(file: Path) -> set[str]:
    """Return the modules that *file* imports names from."""
    return {name.rpartition(".")[0] for name in imported(file)}


def rooms_imported(file: Path) -> set[str]:
    """Return the rooms of devsynthd that *file* imports."""
    return rooms_of(imported(file))


def rooms_of(names: Iterable[str]) -> set[str]:
    """Return the rooms of devsynthd that *names* are in; "" is the package itself."""
    parts = [name.split(".") for name in names]
    rooms = {each[1] if len(each) > 1 else "" for each in parts if each[0] == "devsynthd"}
    return {"" if room == "__version__" else room for room in rooms}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", files("devsynthd"), ids=relative)
def test_no_room_imports_upstairs(file: Path) -> None:
    room, *inside = file.relative_to(ROOT / "devsynthd").parts
    assert not any(name.split(".")[0] == "devsynthctl" for name in imported(file))
    if inside:
        assert rooms_imported(file) <= ROOMS[room] | {room, ""}
    elif room not in EVERYWHERE:
        assert rooms_imported(file) == set()


@pytest.mark.parametrize("file", files("devsynthctl"), ids=relative)
def test_the_client_imports_only_what_is_meant_for_it(file: Path) -> None:
    allowed = [CLIENT_MAY_READ, *([CLIENT_MAY_PROBE] if DOCTOR in file.parents else [])]
    names = [name for name in imported(file) if name.rpartition(".")[0] not in allowed]
    assert rooms_of(names) <= CLIENT_MAY_IMPORT


def test_only_the_doctors_looks_at_the_server_probe_it() -> None:
    probing = {file.name for file in files("devsynthctl") if CLIENT_MAY_PROBE in modules_of(file)}
    assert probing == {"api_links.py", "server_side.py", "upstream_links.py"}


def test_what_the_client_may_read_is_pure_wire() -> None:
    file = ROOT / f"{CLIENT_MAY_READ.replace('.', '/')}.py"
    assert rooms_imported(file) == {"wire"}


def test_the_package_itself_is_cheap() -> None:
    assert set(imported(ROOT / "devsynthd" / "__init__.py")) == set()
