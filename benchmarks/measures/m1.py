"""M1: memory of web, workers and beat, as the sum of their PSS: idle after the start, and the highest during P1's load.

The database, the log server and the cache are not in it.
"""

from __future__ import annotations

from benchmarks import bodies
from benchmarks.bench import READINGS, Bench
from benchmarks.machine.memory import Peak
from benchmarks.report import Result

ID = "M1"
WHAT = "memory of web + worker + beat at the peak of P1 (PSS)"
GOAL_PEAK, GOAL_IDLE = 700, 400


def measure(bench: Bench) -> Result:
    load = bench.load(bodies.one_metric, readings=2 * READINGS)
    with Peak(bench.platform.family) as peak:
        bench.empty_way(load)
    highest, idle = peak.highest, bench.idle
    detail = {
        "idle_pss_mib": round(idle.pss),
        "idle_goal_mib": GOAL_IDLE,
        "idle_rss_mib": round(idle.rss),
        "peak_rss_mib": round(highest.rss),
        "processes": len(bench.platform.family()),
    }
    value = round(highest.pss)
    return Result(ID, WHAT, value, GOAL_PEAK, value, "MiB", detail, lower_is_better=True)
