"""storm: everything breaches at once. P1's load while no reading breaches, and while every reading of every series does.

The first readings of the storm open 10,000 alerts, all others are counted in them. The figure is the throughput of the
storm as a share of that without; beside it how long the inbox takes to answer with its first page while 10,000 are open.
"""

from __future__ import annotations

import statistics
import time
import urllib.request

import psycopg

from benchmarks import bodies
from benchmarks.bench import ROUNDS, Bench, in_turn, ratio
from benchmarks.fleet import FLEET
from benchmarks.machine import rules
from benchmarks.report import Result

ID = "storm"
WHAT = "throughput while 10,000 alerts open ÷ without"
GOAL = 0.8

#: No value that bodies.value_texts draws lies above the one, every one lies above the other.
_NONE, _ALL = 1_000.0, -1_000.0
_LOOKS = 20

_THRESHOLDS = """
INSERT INTO thresholds_threshold (name, description, enabled, all_devices, metric, condition, for_seconds, consecutive,
    clear_for_seconds, gap_policy, message)
SELECT 'storm', '', true, true, m, 'above', 0, 1, 0, 'reset', '' FROM unnest(%s::text[]) m
"""
_LEVELS = """
INSERT INTO thresholds_level (threshold_id, severity, trigger)
SELECT id, 3, %s FROM thresholds_threshold WHERE name = 'storm'
"""


def measure(bench: Bench) -> Result:
    connection = bench.store.connection
    opened: list[int] = []
    inbox: list[float] = []

    def calm() -> float:
        _judge_by(connection, _NONE)
        return bench.empty_way(bench.load(bodies.one_metric)).rate

    def storm() -> float:
        _judge_by(connection, _ALL)
        rate = bench.empty_way(bench.load(bodies.one_metric)).rate
        opened.append(bench.store.count("alerts_alert"))
        inbox.append(_inbox(bench))
        return rate

    try:
        usual, breached = in_turn(ROUNDS, calm, storm)
    finally:
        _judge_by(connection, None)
    if set(opened) != {FLEET.series}:
        raise RuntimeError(f"{FLEET.series} alerts should have opened each time, {opened} did")
    detail = {
        "calm_rounds": [round(rate) for rate in usual],
        "storm_rounds": [round(rate) for rate in breached],
        "alerts_opened": opened,
        "inbox_first_page_ms_worst": round(max(inbox), 1),
    }
    value = round(ratio(breached, usual), 3)
    return Result(ID, WHAT, value, GOAL, round(statistics.median(breached)), "readings/s", detail)


def _judge_by(connection: psycopg.Connection, trigger: float | None) -> None:
    """One threshold a metric over all devices, and no alert of before; None: none at all."""
    rules.remove(connection)
    if trigger is not None:
        with connection.transaction():
            connection.execute(_THRESHOLDS, [list(FLEET.metric_names())])
            connection.execute(_LEVELS, [trigger])
        rules.wait(connection)


def _inbox(bench: Bench) -> float:
    """The slowest of some answers with the first page of open alerts, in milliseconds."""
    url = f"http://127.0.0.1:{bench.platform.port}/api/v1/alerts?state=open"
    asked = urllib.request.Request(url, headers={"Cookie": f"sessionid={bench.access.session}"})
    slowest = 0.0
    for _ in range(_LOOKS):
        began = time.perf_counter()
        with urllib.request.urlopen(asked, timeout=30) as answer:
            answer.read()
        slowest = max(slowest, (time.perf_counter() - began) * 1000)
    return slowest
