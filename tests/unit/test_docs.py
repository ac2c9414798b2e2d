"""What the documents name is there."""

import re
from pathlib import Path

import pytest

from devsynthd.settings.schema import SETTINGS
from devsynthd.settings.template import toml_value

ROOT = Path(__file__).parents[2]
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROOMS = (ROOT, ROOT / "devsynthd")


def named_tests(page: str) -> list[tuple[str, str]]:
    """Return file and name of each test that *page* names."""
    return re.findall(r"`([\w/]+\.py)::(\w+)`", page)


PROBLEMS = named_tests((ROOT / "docs" / "lm-studio.md").read_text(encoding="utf-8"))
PROMISES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in SECURITY.partition("## Each promise")[2].splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


def test_the_table_of_problems_names_tests() -> None:
    assert len(PROBLEMS) > 60


@pytest.mark.parametrize(("file", "test"), PROBLEMS + named_tests(SECURITY))
def test_each_test_that_is_named_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_there_are_promises() -> None:
    assert len(PROMISES) > 30


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[0][:40])
def test_each_promise_names_a_test_and_files_that_exist(promise: list[str]) -> None:
    _, kept_by, tests = promise
    files = re.findall(r"`((?:\w+/)*\w+\.\w+)`", kept_by)

    assert named_tests(tests)
    assert [file for file in files if not any((room / file).exists() for room in ROOMS)] == []


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
