"""What a daemon takes that nobody asks for anything, and one that has been asked for a lot."""

import time

from devsynthctl import Client
from tests.bench.figures import Budget, Finding
from tests.bench.rig import Rig, first_answer, start_daemon
from tests.soak.watch import cpu_s, resident_bytes

IDLE_MEMORY = Budget("memory, idle", "MB", 50)
IDLE_CPU = Budget("CPU, idle", "% of a core", 0.3)
USED_MEMORY = Budget("memory, after the benchmark", "MB", 50)

SETTLE_S = 3.0
WATCHED_S = 30.0
MB = 1e6


def idle(rig: Rig) -> list[Finding]:
    """Watch another daemon with default settings that has answered once, and do nothing."""
    folder = rig.folder / "idle"
    folder.mkdir()
    with start_daemon(folder, rig.upstream) as daemon:
        first_answer(daemon)
        with Client(daemon.endpoint) as client:
            client.list(refresh=True)
        time.sleep(SETTLE_S)
        start_s, start = cpu_s(daemon.pid), time.monotonic()
        time.sleep(WATCHED_S)
        percent = 100 * (cpu_s(daemon.pid) - start_s) / (time.monotonic() - start)
        memory_mb = resident_bytes(daemon.pid) / MB
    return [
        Finding(budget=IDLE_MEMORY, figure=memory_mb),
        Finding(budget=IDLE_CPU, figure=percent, note=f"over {WATCHED_S:.0f} s"),
    ]


def used(rig: Rig) -> list[Finding]:
    """Look at the daemon that all else was measured on."""
    return [Finding(budget=USED_MEMORY, figure=resident_bytes(rig.daemon.pid) / MB)]
