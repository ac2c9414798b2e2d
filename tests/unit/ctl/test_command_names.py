"""What is said of a command that there is not."""

import pytest
from click.testing import CliRunner

from devsynthctl.cli import cli


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("model", "there is no command model: did you mean models?"),
        ("stauts", "there is no command stauts: did you mean status?"),
        ("xyzzy", "No such command 'xyzzy'."),
    ],
)
def test_the_nearest_command_is_named(given: str, told: str) -> None:
    result = CliRunner().invoke(cli, [given])

    assert result.exit_code == 2
    assert told in result.stderr
