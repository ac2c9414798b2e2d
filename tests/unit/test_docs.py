"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from devsynthd.settings.schema import SETTINGS

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "lm-studio.md").read_text(encoding="utf-8")
)


def test_the_table_of_problems_names_tests() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_test_that_is_named_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_readme_tells_each_setting_as_it_is(setting: object) -> None:
    key, description = (getattr(setting, name) for name in ("key", "description"))
    rows = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()

    (row,) = (row for row in rows if row.startswith(f"| `{key}` |"))
    assert row.endswith(f"| {description} |")
