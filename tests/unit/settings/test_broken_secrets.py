"""A config file that is wrong where the key is, or has it where it does not belong."""

import pytest

from devsynthd.settings.document import given_by_toml
from tests.process.planted_secrets import found
from tests.process.secret_scenes import NAMES, broken_files


@pytest.mark.parametrize("name", broken_files())
def test_a_file_that_is_wrong_where_the_key_is_is_told_without_it(name: str) -> None:
    given = given_by_toml(broken_files()[name].encode(), "config.toml")

    assert given.errors
    assert found(NAMES, "\n".join(given.errors)) == set()
