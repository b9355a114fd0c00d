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
    before = _bytes(bench, TABLE) / stored
    rollups = {level.name: round(_bytes(bench, level.table) / rows, 1) for level in LEVELS}
    detail = {"rows_stored": stored, "rollup_bytes_per_reading": rollups}
    value, goal = before, GOAL_PLAIN
    if bench.engine == "timescale":
        with bench.store.connection.cursor() as cursor:
            engine_in_use(cursor).compress_before(cursor, bench.history.end * 1000 + 1)
        after = _bytes(bench, TABLE) / stored
        detail |= {"compressed_bytes_per_reading": round(after, 1), "compressed_goal": GOAL_COMPRESSED}
        bench.store.must_have(stored)
        value = max(before, after * GOAL_PLAIN / GOAL_COMPRESSED)
    return Result(ID, WHAT, round(value, 1), goal, round(before, 1), "bytes", detail, lower_is_better=True)


def _bytes(bench: Bench, table: str) -> int:
    """Of a table with its partitions or chunks."""
    if bench.engine == "timescale":
        query = "SELECT hypertable_size(to_regclass(%s))"
    else:
        # Partitions, or the table itself where it has none.
        query = (
            "SELECT coalesce((SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(named)), "
            "pg_total_relation_size(named)) FROM to_regclass(%s) AS named"
        )
    row = bench.store.connection.execute(query, [table]).fetchone()
    assert row is not None
    return int(row[0])
