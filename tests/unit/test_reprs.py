"""Whatever holds a key does not show it: in tracebacks, in debuggers, in a log line of tomorrow."""

import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
import pytest

import devsynthctl
import devsynthd

KEY = "planted-key"


def structs() -> Iterator[type[msgspec.Struct]]:
    """Yield every struct that has a field for a key."""
    for package in (devsynthd, devsynthctl):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and issubclass(value, msgspec.Struct):
                    yield value


HOLDERS = sorted(
    {each for each in structs() if any("api_key" in name for name in each.__struct_fields__)},
    key=lambda each: each.__name__,
)


def test_those_that_hold_a_key_are_found() -> None:
    names = {each.__name__ for each in HOLDERS}
    assert names >= {"Settings", "Order", "Endpoint", "Target", "ServerSettings"}


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda each: each.__name__)
def test_no_key_is_shown(holder: type[msgspec.Struct]) -> None:
    values = {name: KEY if "api_key" in name else "x" for name in holder.__struct_fields__}
    held = holder(**values)

    assert KEY not in repr(held)
    assert KEY not in str(held)
