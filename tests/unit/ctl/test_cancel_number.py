"""Which numbers ``cancel`` takes for those of requests."""

import pytest
from click.testing import CliRunner

from devsynthctl.cli import cli


@pytest.mark.parametrize(
    "given", ["x", "1.5", "", "\N{FULLWIDTH DIGIT NINE}", "9007199254740992", "9" * 5000]
)
def test_what_is_no_number_is_told_with_where_the_numbers_are(given: str) -> None:
    result = CliRunner().invoke(cli, ["cancel", given])

    assert result.exit_code == 2
    assert "is no number of a request: `devsynthctl ps` shows them" in result.stderr
