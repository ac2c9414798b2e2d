"""The clock for ages counts what the machine slept, and the one for deadlines does not."""

import subprocess
import sys
import time

from devsynthd.host.clock import elapsed_s
from tests.support.needs import need, need_root

SLEPT_S = 100_000
AWAKE = (
    "import time; from devsynthd.host.clock import elapsed_s; print(elapsed_s() - time.monotonic())"
)


def test_it_goes_on_as_time_does() -> None:
    before, elapsed_before = time.monotonic(), elapsed_s()
    while time.monotonic() == before:
        pass
    passed_s, elapsed = time.monotonic() - before, elapsed_s() - elapsed_before

    assert elapsed > 0
    assert abs(elapsed - passed_s) < 1


def test_a_suspend_counts() -> None:
    """A time namespace shows a process what it would see after one, without the waiting."""
    need_root()
    unshare = need("unshare", "apt-get install util-linux")

    done = subprocess.run(
        [unshare, "--time", "--fork", f"--boottime={SLEPT_S}", sys.executable, "-c", AWAKE],
        capture_output=True,
        text=True,
        check=True,
    )

    assert abs(float(done.stdout) - (elapsed_s() - time.monotonic()) - SLEPT_S) < 1
