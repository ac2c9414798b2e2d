"""How soon a saved config file is in force, however an editor saves."""

import itertools
import time

from tests.bench.figures import Budget, Finding, p50, percentile
from tests.bench.reload import WAYS
from tests.bench.rig import Rig
from tests.support.daemon import toml_of

SAVED = Budget("config saved until in force, p95", "ms", 200)

ROUNDS = 60
KEY = "llm_max_tokens"
PAUSE_S = 0.25  # longer than a reload may take, so that no save is seen with the one before
LIMIT_S = 10.0


def saved(rig: Rig) -> list[Finding]:
    """Save other values in turns of all ways, and ask for the value until it is the new one."""
    times = []
    for value, save in zip(range(ROUNDS), itertools.cycle(WAYS), strict=False):
        wanted = 10_000 + value
        text = toml_of({"llm_api_base": f"{rig.upstream}/v1", KEY: wanted})
        time.sleep(PAUSE_S)
        start = time.perf_counter()
        save(rig.daemon.config, text)
        while rig.client.config_get(KEY).settings[0].value != wanted:
            assert time.perf_counter() - start < LIMIT_S, f"{KEY} = {wanted} is never in force"
        times.append((time.perf_counter() - start) * 1000)
    note = f"p50 {p50(times):.0f} ms; saved in place, renamed over, deleted and made anew"
    return [Finding(budget=SAVED, figure=percentile(times, 95), note=note)]
