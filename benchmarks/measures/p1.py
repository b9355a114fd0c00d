"""P1, the whole way: POSTs of 1,000 readings → checked, logged, stored, committed.

Every reading is an object of its own with device, ISO time and one metric. 10 connections send 1,000,000 readings of
10,000 series on 1,000 devices; every body speaks of all 1,000 devices, so it touches every shard. The clock runs from
the first POST to the COMMIT of the last reading, into an empty table, with load generator, web, log, workers and
database on the one machine. R0 and P1 take turns.

Beside the headline: the same readings as objects of 10 metrics, and the rate by readings per POST.
"""

from __future__ import annotations

import statistics

from benchmarks import bodies
from benchmarks.bench import CONNECTIONS, READINGS, SHORT_ROUNDS, Bench, in_turn, ratio, say
from benchmarks.machine import rules
from benchmarks.report import Result

ID = "P1"
WHAT = "whole way, 1,000 readings a POST ÷ R0"
GOAL_PLAIN, GOAL_TIMESCALE = 0.60, 0.85

#: Active thresholds while P1 runs; the share of readings that breach one is rules.BREACHING.
THRESHOLDS = 1_000

#: Readings per POST → posts, so that each run takes some seconds.
CURVE = {1: 6_400, 3: 6_400, 10: 6_400, 100: 4_000, 1_000: 1_000, 10_000: 100}
_SMALL_POST = 10
_MANY_CONNECTIONS = 64


def measure(bench: Bench) -> Result:
    with bench.thresholds(THRESHOLDS):
        return _measure(bench)


def _measure(bench: Bench) -> Result:
    def headline() -> float:
        return bench.empty_way(bench.load(bodies.one_metric)).rate

    def whole_objects() -> float:
        return bench.empty_way(bench.load(bodies.all_metrics)).rate

    yardsticks, rates, objects = in_turn(SHORT_ROUNDS, bench.yardstick.measure, headline, whole_objects)
    yardstick = statistics.median(yardsticks)
    value = ratio(rates, yardsticks)
    detail = {
        "r0_rounds": [round(rate) for rate in yardsticks],
        "rounds": [round(rate) for rate in rates],
        "readings_a_round": READINGS,
        "connections": CONNECTIONS,
        "objects_of_10_metrics": {
            "ratio": round(ratio(objects, yardsticks), 3),
            "readings_per_second": round(statistics.median(objects)),
        },
        "by_readings_per_post": _curve(bench, yardstick),
        "active_thresholds": THRESHOLDS,
        "breaching_share": rules.BREACHING,
    }
    goal = bench.goal(GOAL_PLAIN, GOAL_TIMESCALE)
    return Result(ID, WHAT, round(value, 3), goal, round(statistics.median(rates)), "readings/s", detail)


def _curve(bench: Bench, yardstick: float) -> dict[str, dict[str, float]]:
    curve = {}
    for size, posts in CURVE.items():
        say(f"  P1 at {size:,} readings a POST")
        connections = _MANY_CONNECTIONS if size <= _SMALL_POST else CONNECTIONS
        way = bench.empty_way(bench.load(bodies.one_metric, size, posts * size, connections))
        curve[str(size)] = {
            "readings_per_second": round(way.rate),
            "ratio": round(way.rate / yardstick, 4),
            "posts_per_second": round(way.load.posts / way.sent.seconds),
            "answer_p99_ms": way.sent.p99_ms,
        }
    return curve
