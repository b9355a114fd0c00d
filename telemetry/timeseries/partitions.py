"""Plain PostgreSQL: declarative RANGE partitions by event time. There is no default partition, on purpose: rows in it
would have to be moved under a lock when their own partition is made."""

from __future__ import annotations

import re
from datetime import datetime

from telemetry.timeseries.engine import (
    INDEX,
    MICROSECONDS_PER_DAY,
    TABLE,
    Cursor,
    Range,
    Unsorted,
    as_microseconds,
    as_timestamp,
    rollup_columns,
)

#: Key of the advisory lock under which ranges are made.
_MAKING_RANGES = 7_261_001
_BOUNDS = re.compile(r"FROM \('([^']+)'\) TO \('([^']+)'\)")


class Partitions:
    """Partitions named after the day they start."""

    name = "partitions"

    def __init__(self, *, refuses_repeats: bool = True) -> None:
        self.refuses_repeats = refuses_repeats

    def create(self, cursor: Cursor, days: int) -> None:
        cursor.execute(
            f"CREATE TABLE {TABLE} (time timestamptz NOT NULL, series_id integer NOT NULL, value double precision NOT NULL) "
            "PARTITION BY RANGE (time)"
        )
        cursor.execute(f"CREATE UNIQUE INDEX {INDEX} ON {TABLE} (series_id, time)")

    def create_rollup(self, cursor: Cursor, table: str, width: int, percentiles: bool) -> None:
        # One table a level: rollups are small beside the readings, and outlive them.
        cursor.execute(f"CREATE TABLE {table} ({rollup_columns(percentiles)}, PRIMARY KEY (series_id, time))")

    def width(self, cursor: Cursor, days: int) -> int:
        return days * MICROSECONDS_PER_DAY

    def fit(self, cursor: Cursor, now: int, readings: int, days: int, keep_days: int) -> bool:
        """As wide as is set."""
        return False

    def ranges(self, cursor: Cursor, table: str = TABLE) -> list[Range]:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = to_regclass(%s)",
            [table],
        )
        found = []
        for name, bounds in cursor.fetchall():
            match = _BOUNDS.fullmatch(bounds.removeprefix("FOR VALUES "))
            if match is None:
                raise ValueError(f"partition {name} has bounds that we did not make: {bounds}")
            start, end = (as_microseconds(_parsed(text)) for text in match.groups())
            found.append(Range(name, start, end))
        return sorted(found, key=lambda part: part.start)

    def add_range(self, cursor: Cursor, start: int, end: int) -> None:
        name = f"{TABLE}_{as_timestamp(start):%Y%m%d}"
        # CREATE … LIKE, then ATTACH: only the ATTACH needs a lock on the parent, and one that lets drains go on. All in
        # one statement, under a lock of its own: another process may be making the same range.
        cursor.execute(f"""
            DO $$ BEGIN
                PERFORM pg_advisory_xact_lock({_MAKING_RANGES});
                IF to_regclass('{name}') IS NULL THEN
                    CREATE TABLE {name} (LIKE {TABLE});
                    CREATE UNIQUE INDEX {name}_series_time ON {name} (series_id, time);
                    ALTER TABLE {TABLE} ATTACH PARTITION {name}
                        FOR VALUES FROM ('{as_timestamp(start).isoformat()}') TO ('{as_timestamp(end).isoformat()}');
                END IF;
            END $$
        """)

    def drop_before(self, cursor: Cursor, before: int) -> list[str]:
        old = [part.table for part in self.ranges(cursor) if part.end <= before]
        for name in old:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
        return old

    def compress_before(self, cursor: Cursor, before: int, table: str = TABLE) -> list[str]:
        """Plain PostgreSQL has no columnar compression; `manage.py doctor` says so."""
        return []

    def unsorted(self, cursor: Cursor, before: int) -> list[Unsorted]:
        """Rows have an index."""
        return []


def _parsed(text: str) -> datetime:
    """A bound as the server prints it ("2026-11-19 00:00:00+00"), in whatever zone the session has."""
    return datetime.fromisoformat(text)
