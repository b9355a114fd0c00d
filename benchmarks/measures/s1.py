"""S1: bytes that a stored reading takes, indexes included; after compression too, where the engine can.

As rows: those of the history that Q1 to Q3 ask about. Where the platform lands columns: readings of the headline fleet
(10,000 series, values of two decimals from a normal distribution) that it stored itself, drain by drain, as they are
landed and after its upkeep has sorted them and the server has vacuumed what rows they left.
"""

from __future__ import annotations

from benchmarks import bodies
from benchmarks.bench import Bench
from benchmarks.machine.history import sort_landed
from benchmarks.report import Result
from telemetry.rollups.levels import LEVELS
from telemetry.timeseries.engine import TABLE, engine_in_use

ID = "S1"
WHAT = "bytes per reading stored, before compression (after it in detail, goal 6)"
WHAT_LANDED = "bytes per reading as landed in columns (after sorting in detail, goal 10)"
GOAL_PLAIN, GOAL_COMPRESSED = 90, 6
GOAL_LANDED, GOAL_SORTED = 16, 10

LANDED_READINGS = 5_000_000


def measure(bench: Bench) -> Result:
    with bench.store.connection.cursor() as cursor:
        lands = not engine_in_use(cursor).refuses_repeats
    return _columns(bench) if lands else _rows(bench)


def _rows(bench: Bench) -> Result:
    rows = bench.history.rows
    stored = bench.store.rows()
    before = bench.store.bytes_of(TABLE) / stored
    rollups = {level.name: round(bench.store.bytes_of(level.table) / rows, 1) for level in LEVELS}
    detail = {"rows_stored": stored, "rollup_bytes_per_reading": rollups}
    value, goal = before, GOAL_PLAIN
    if bench.engine == "timescale":
        with bench.store.connection.cursor() as cursor:
            engine_in_use(cursor).compress_before(cursor, bench.history.end * 1000 + 1)
        after = bench.store.bytes_of(TABLE) / stored
        detail |= {"compressed_bytes_per_reading": round(after, 1), "compressed_goal": GOAL_COMPRESSED}
        bench.store.must_have(stored)
        value = max(before, after * GOAL_PLAIN / GOAL_COMPRESSED)
    return Result(ID, WHAT, round(value, 1), goal, round(before, 1), "bytes", detail, lower_is_better=True)


def _columns(bench: Bench) -> Result:
    """Measured last of all: it empties the table."""
    way = bench.empty_way(bench.load(bodies.one_metric, readings=LANDED_READINGS))
    stored = way.load.readings
    landed = bench.store.bytes_of(TABLE) / stored
    sort_landed(bench.ground, bench.store)
    bench.store.connection.execute(f"VACUUM {TABLE}")  # as the server does by itself, some time later
    bench.store.must_have(stored)
    after = bench.store.bytes_of(TABLE) / stored
    detail = {
        "rows_stored": stored,
        "landed_bytes_per_reading": round(landed, 2),
        "sorted_bytes_per_reading": round(after, 2),
        "sorted_goal": GOAL_SORTED,
    }
    value = max(landed, after * GOAL_LANDED / GOAL_SORTED)
    return Result(
        ID, WHAT_LANDED, round(value, 2), GOAL_LANDED, round(landed, 2), "bytes", detail, lower_is_better=True
    )
