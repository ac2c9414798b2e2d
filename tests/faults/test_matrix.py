"""Each fault, each operation: it is answered, nothing is lost, partial or left over."""

from pathlib import Path

import pytest

from tests.faults.matrix import ELSEWHERE, MATRIX, Fault, Row, rows
from tests.faults.operations import OPERATIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(60)  # a dozen commands and twenty requests, on a busy machine too
@pytest.mark.parametrize("fault", MATRIX, ids=[each.name for each in MATRIX])
def test_what_is_promised_holds(short_dir: Path, fault: Fault) -> None:
    seen = list(rows(fault, short_dir))

    assert [row for row in seen if not row.holds] == list[Row]()
    assert {row.operation for row in seen} >= set(OPERATIONS)


@pytest.mark.parametrize("test", sorted({each for tests in ELSEWHERE.values() for each in tests}))
def test_what_is_held_elsewhere_is_there(test: str) -> None:
    file, _, name = test.partition("::")

    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
