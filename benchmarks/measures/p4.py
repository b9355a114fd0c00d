"""P4, what thresholds cost: P1's load with none, 1,000 and 100,000 of them active, in turn.

Every series has at least one, and one in a thousand readings breaches: opens an alert, which the next reading clears.
The figure is the loss of throughput that is worst against its goal.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.bench import READINGS, ROUNDS, Bench, in_turn
from benchmarks.fleet import FLEET
from benchmarks.machine import rules
from benchmarks.report import Result

ID = "P4"
WHAT = "throughput lost to thresholds"

#: Active thresholds → the loss that is allowed.
GOALS = {1_000: 0.05, 100_000: 0.10}


def measure(bench: Bench) -> Result:
    def with_(count: int) -> float:
        with bench.thresholds(count):
            # What was compiled is used once before the clock runs, as it is on a platform that has been up for a while.
            bench.way(bench.load(bodies.one_metric, readings=2 * FLEET.series))
            rate = bench.empty_way(bench.load(bodies.one_metric)).rate
            opened.append((count, bench.store.count("alerts_alert")))
            return rate

    opened: list[tuple[int, int]] = []
    without, *with_some = in_turn(ROUNDS, lambda: with_(0), *[lambda count=count: with_(count) for count in GOALS])
    losses = {
        count: 1 - statistics.median(rate / bare for rate, bare in zip(rates, without, strict=True))
        for count, rates in zip(GOALS, with_some, strict=True)
    }
    worst = max(GOALS, key=lambda count: losses[count] / GOALS[count])
    detail = {
        "without": [round(rate) for rate in without],
        "rounds": {str(count): [round(rate) for rate in rates] for count, rates in zip(GOALS, with_some, strict=True)},
        "loss": {str(count): round(loss, 4) for count, loss in losses.items()},
        "goals": {str(count): goal for count, goal in GOALS.items()},
        "alerts_opened": opened,
        "readings_a_round": READINGS,
        "breaching_share": rules.BREACHING,
    }
    rate = statistics.median(with_some[list(GOALS).index(worst)])
    return Result(
        ID, WHAT, round(losses[worst], 4), GOALS[worst], round(rate), "readings/s", detail, lower_is_better=True
    )
