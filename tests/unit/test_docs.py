"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from devsynthd.settings.schema import SETTINGS
from devsynthd.settings.template import toml_value

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "lm-studio.md").read_text(encoding="utf-8")
)


def test_the_table_of_problems_names_tests() -> None:
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_each_test_that_is_named_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_the_table_of_settings_in_the_readme_is_that_of_the_schema() -> None:
    wanted = [
        "| setting | default | allowed | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{each.key}` | `{toml_value(each.default)}` | {each.limits} | {each.meaning} |"
            for each in SETTINGS
        ),
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    (table,) = re.findall(r"^\| setting \|.*\n(?:\|.*\n)*", readme, re.MULTILINE)
    assert table.splitlines() == wanted, "README.md should have:\n" + "\n".join(wanted)
