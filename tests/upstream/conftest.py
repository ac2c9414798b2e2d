from collections.abc import Iterator

import pytest

from tests.support.upstream_server import UpstreamServer


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server
