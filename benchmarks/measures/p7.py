"""P7: the drain alone. The log is filled while no drain worker runs; then the workers are started and nothing is sent.

Starting a worker takes a second or two that are no property of the drain, so the clock runs from the first COMMIT seen
to the last, and counts the readings committed in between.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.bench import SHORT_ROUNDS, Bench, in_turn, ratio
from benchmarks.report import Result

ID = "P7"
WHAT = "drain alone ÷ R0"
GOAL_PLAIN, GOAL_TIMESCALE = 0.85, 1.5

READINGS = 2_000_000


def measure(bench: Bench) -> Result:
    yardsticks, rates = in_turn(SHORT_ROUNDS, bench.yardstick.measure, lambda: _drain(bench))
    detail = {
        "r0_rounds": [round(rate) for rate in yardsticks],
        "rounds": [round(rate) for rate in rates],
        "readings_a_round": READINGS,
    }
    goal = bench.goal(GOAL_PLAIN, GOAL_TIMESCALE)
    value = round(ratio(rates, yardsticks), 3)
    return Result(ID, WHAT, value, goal, round(statistics.median(rates)), "readings/s", detail)


def _drain(bench: Bench) -> float:
    """Readings per second of one round."""
    load = bench.load(bodies.one_metric, readings=READINGS)
    bench.store.empty()
    committed = bench.store.committed()
    bench.platform.stop_drains()
    try:
        bench.send(load)
        bench.store.settle()
    finally:
        bench.platform.start_drains()
    first = bench.store.wait_for(committed + 1)
    already = bench.store.committed() - committed  # at once: a drain takes far longer than these two looks
    last = bench.store.wait_for(committed + load.readings)
    bench.store.must_have(load.readings)
    return (load.readings - already) / (last - first)
