"""What beat does to the store now and then: partitions ahead, retention, compression, pruning, purging."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
import psycopg

from telemetry import measures
from telemetry.database import connect
from telemetry.rollups.levels import LEVELS
from telemetry.rollups.marks import oldest_marked
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import MICROSECONDS_PER_DAY, Engine, engine_in_use

logger = logging.getLogger(__name__)


def keep_ranges(config: Any, now: int | None = None) -> dict[str, list[str] | int]:
    """Make ranges ahead, drop those beyond the raw retention, compress old ones. ``now`` in µs since 1970.

    Answers what was done: made (number), dropped and compressed (names).
    """
    now = int(time.time() * 1e6) if now is None else now
    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        fitted = engine.fit(cursor, now, config.columnar_chunk_rows, config.partition_days, config.raw_retention_days)
        made = _make_ahead(cursor, engine, config, now)
        dropped: list[str] = []
        compressed: list[str] = []
        if config.raw_retention_days:
            before = now - config.raw_retention_days * MICROSECONDS_PER_DAY
            # Rollups outlive the readings: what is not rolled up yet stays until it is.
            dropped = engine.drop_before(cursor, min(before, oldest_marked(cursor, before)))
        if config.compress_after_days:
            # Compressing a chunk may take longer than a statement of the request path is allowed to.
            connection.let_statements_take(3600)
            before = now - config.compress_after_days * MICROSECONDS_PER_DAY
            compressed += engine.compress_before(cursor, before)
            # History may be on its way into old rollups: buckets go into rows much faster than into columns. What is being
            # made is still marked; a refresh as such is at work most of the time, where readings never stop coming.
            quiet = oldest_marked(cursor, before)
            for level in LEVELS:
                compressed += engine.compress_before(cursor, min(before, quiet), level.table)
    if made:
        measures.partitions_made.inc(made)
    if made or dropped or compressed or fitted:
        logger.info("ranges_kept", extra={"made": made, "dropped": dropped, "compressed": compressed})
    return {"made": made, "dropped": dropped, "compressed": compressed}


def _make_ahead(cursor: Any, engine: Engine, config: Any, now: int) -> int:
    """The range of now, and those that follow it; answers how many were made."""
    coverage = Coverage(engine, config.partition_days)
    made = coverage.ensure(cursor, np.array([now], np.int64))
    end = next(part.end for part in engine.ranges(cursor) if part.start <= now < part.end)
    width = engine.width(cursor, config.partition_days)
    return made + coverage.ensure(cursor, end + width * np.arange(config.partitions_ahead, dtype=np.int64))


def prune(config: Any) -> None:
    """Remove what is older than its time to be kept, and what the quarantine holds beyond its bound."""
    with connect(autocommit=True) as connection:
        connection.execute("DELETE FROM telemetry_registrychange WHERE at < now() - interval '1 hour'")
        for table, column, days in (
            ("telemetry_receiptoutcome", "created_at", config.receipt_keep_days),
            ("telemetry_quarantinedreading", "received_at", config.quarantine_keep_days),
        ):
            connection.execute(f"DELETE FROM {table} WHERE {column} < now() - make_interval(days => %s)", [days])
        _prune_quarantine(connection, config.quarantine_max_rows)


def _prune_quarantine(connection: psycopg.Connection[Any], most: int) -> None:
    """Drop the oldest rows beyond the bound; what was still waiting is counted by device."""
    row = connection.execute(
        "SELECT id FROM telemetry_quarantinedreading ORDER BY id DESC OFFSET %s LIMIT 1", [most]
    ).fetchone()
    if row is None:
        return
    dropped = connection.execute(
        "WITH gone AS (DELETE FROM telemetry_quarantinedreading WHERE id <= %s RETURNING device, state), "
        "counted AS (INSERT INTO telemetry_quarantinedropped (device, dropped, last_at) "
        "SELECT device, count(*), now() FROM gone WHERE state = 'waiting' GROUP BY device "
        "ON CONFLICT (device) DO UPDATE SET dropped = telemetry_quarantinedropped.dropped + excluded.dropped, last_at = now()) "
        "SELECT count(*) FROM gone WHERE state = 'waiting'",
        [row[0]],
    ).fetchone()
    measures.quarantine_dropped.inc(dropped[0] if dropped else 0)
