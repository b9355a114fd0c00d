"""S1: bytes that a stored reading takes, indexes included; after compression too, where the engine can."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.report import Result
from telemetry.rollups.levels import LEVELS
from telemetry.timeseries.engine import TABLE, engine_in_use

ID = "S1"
WHAT = "bytes per reading stored, before compression (after it in detail, goal 6)"
GOAL_PLAIN, GOAL_COMPRESSED = 90, 6


def measure(bench: Bench) -> Result:
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
