"""P5: growth. P1's load into an empty table and into one that holds 10 million rows; with 100 and with 100,000 devices.

The rows are loaded past the platform, of the same series and older than what is sent then. As they are loaded once,
P1 takes turns with R0 before and after, and the two shares of R0 are compared. The fleets: 100 devices of 10 metrics
(1,000 series) and 100,000 devices of one metric (100,000 series), which take turns. The figure is the worse ratio.
"""

from __future__ import annotations

import statistics

import numpy as np
import psycopg

from benchmarks import bodies, rows
from benchmarks.bench import ROUNDS, Bench, in_turn, ratio, say
from benchmarks.fleet import FLEET, STEP_MS, Fleet
from benchmarks.r0 import write_together
from benchmarks.report import Result
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use

ID = "P5"
WHAT = "growth: rows in the table, devices (slower ÷ faster)"
GOAL = 0.9

ROWS = 10_000_000
FEW = Fleet("few", devices=100)
MANY = Fleet("many", devices=100_000, metrics=1)


def measure(bench: Bench) -> Result:
    empty_r0, empty, full_r0, full = _table_size(bench)
    few, many = _devices(bench)
    by_rows, by_devices = ratio(full, full_r0) / ratio(empty, empty_r0), ratio(many, few)
    slower = full if by_rows <= by_devices else many
    detail = {
        "table_size": {
            "ratio": round(by_rows, 3),
            "rows": ROWS,
            "empty": {"rounds": _rounded(empty), "r0_rounds": _rounded(empty_r0)},
            "full": {"rounds": _rounded(full), "r0_rounds": _rounded(full_r0)},
        },
        "devices": {
            "ratio": round(by_devices, 3),
            f"{FEW.devices}_devices_{FEW.series}_series": _rounded(few),
            f"{MANY.devices}_devices_{MANY.series}_series": _rounded(many),
        },
    }
    value = round(min(by_rows, by_devices), 3)
    return Result(ID, WHAT, value, GOAL, round(statistics.median(slower)), "readings/s", detail)


def _table_size(bench: Bench) -> list[list[float]]:
    """R0 and P1 with an empty table, R0 and P1 with a full one."""

    def empty() -> float:
        return bench.empty_way(bench.load(bodies.one_metric)).rate

    def full() -> float:
        load = bench.load(bodies.one_metric)
        bench.store.settle()
        return bench.way(load).rate

    before = in_turn(ROUNDS, bench.yardstick.measure, empty)
    bench.store.empty()
    say(f"  P5: loading {ROWS:,} rows")
    _fill(bench)
    return before + in_turn(ROUNDS, bench.yardstick.measure, full)


def _devices(bench: Bench) -> list[list[float]]:
    for fleet in (FEW, MANY):
        say(f"  P5: making {fleet.devices:,} devices")
        bench.platform.provision(fleet.prefix, fleet.devices)
        bench.warm_up(fleet)

    def sent_by(fleet: Fleet) -> float:
        return bench.empty_way(bench.load(bodies.one_metric, fleet=fleet)).rate

    return in_turn(ROUNDS, lambda: sent_by(FEW), lambda: sent_by(MANY))


def _fill(bench: Bench) -> None:
    """ROWS rows of the fleet's series, at times before those of any load built later."""
    connection = bench.store.connection
    steps = ROWS // FLEET.series
    start = bench.clock.take(steps)
    series = connection.execute(
        "SELECT s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id WHERE d.name LIKE %s "
        "ORDER BY s.id",
        [f"{FLEET.prefix}-%"],
    ).fetchall()
    with connection.cursor() as cursor:
        engine, days = engine_in_use(cursor), bench.ground.config.partition_days
        span = np.array([start, start + steps * STEP_MS], np.int64) * 1000
        Coverage(engine, days).ensure(cursor, span)
    landed = not engine.refuses_repeats
    halves = np.array_split(np.array(series, np.int32).ravel(), 2)
    shares = [rows.statements(half, start, ROWS // 2, landed=landed) for half in halves]
    writers = [psycopg.connect(bench.ground.database.url, autocommit=True) for _ in shares]
    try:
        write_together(writers, shares, landed=landed)
    finally:
        for writer in writers:
            writer.close()
    bench.store.settle()
    bench.store.must_have(ROWS)


def _rounded(rates: list[float]) -> list[int]:
    return [round(rate) for rate in rates]
