"""P1c: the whole way in the compact form, 1,000 readings a POST.

Two kinds of bodies: one device with 100 times × 10 metrics, and ten such objects of 10 times each inside `readings`.
All else is as in P1. The figure is that of the slower kind.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.bench import SHORT_ROUNDS, Bench, in_turn, ratio
from benchmarks.measures.p1 import THRESHOLDS
from benchmarks.report import Result

ID = "P1c"
WHAT = "whole way, compact form ÷ R0"
GOAL_PLAIN, GOAL_TIMESCALE = 0.75, 1.2


def measure(bench: Bench) -> Result:
    with bench.thresholds(THRESHOLDS):
        return _measure(bench)


def _measure(bench: Bench) -> Result:
    def one_device() -> float:
        return bench.empty_way(bench.load(bodies.compact)).rate

    def ten_devices() -> float:
        return bench.empty_way(bench.load(bodies.compact_wrapped)).rate

    yardsticks, ones, tens = in_turn(SHORT_ROUNDS, bench.yardstick.measure, one_device, ten_devices)
    kinds = {"one_device": ones, "ten_devices_in_readings": tens}
    slower = min(kinds.values(), key=statistics.median)
    detail = {
        "r0_rounds": [round(rate) for rate in yardsticks],
        **{
            name: {"ratio": round(ratio(rates, yardsticks), 3), "rounds": [round(rate) for rate in rates]}
            for name, rates in kinds.items()
        },
    }
    goal = bench.goal(GOAL_PLAIN, GOAL_TIMESCALE)
    value = round(ratio(slower, yardsticks), 3)
    return Result(ID, WHAT, value, goal, round(statistics.median(slower)), "readings/s", detail)
