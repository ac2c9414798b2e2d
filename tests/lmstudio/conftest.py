"""A simulator of the newest generation, and a client for it."""

from collections.abc import Iterator

import pytest

from tests.lmstudio.asking import Client
from tests.lmstudio.studio import LMStudio


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1") as studio:
        yield studio


@pytest.fixture
def client(studio: LMStudio) -> Iterator[Client]:
    with Client(studio) as client:
        yield client
