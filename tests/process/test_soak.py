"""Hundreds of requests at once, for a while, with all that goes wrong: the short form of a soak."""

import sys
from pathlib import Path

import pytest

from devsynthd.wire.errors import ErrorCode
from tests.bench.soak import soak


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(120)
def test_every_request_comes_to_its_right_end_and_nothing_is_left_behind(short_dir: Path) -> None:
    report = soak(short_dir, seconds=20, seed=1)

    assert report.breaches == ()
    assert report.passed
    assert report.answered
    assert report.cancelled
    assert report.vanished
    assert report.failed.keys() == {
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.INCOMPLETE,
        ErrorCode.UPSTREAM_ERROR,
        ErrorCode.UPSTREAM_UNAVAILABLE,
    }
    assert report.restarts == 1
