"""R0, the yardstick: how fast this database can store readings at all.

Two concurrent connections write 1,000,000 prebuilt rows (time, series_id, value) of 10,000 series with COPY … BINARY,
10,000 rows a statement, into an empty table. The table is made by the platform's own time-series engine, in a database
of its own on the same server, so it has the same partitions or chunks and the same durability, and a unique index
(series_id, time). Nothing that stores rows there can be faster by much, so the platform is measured as a share of it.

It stays rows with a unique index where the platform writes columns without one: how many times faster that is, is then what
the share says.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence

import numpy as np
import psycopg

from benchmarks import rows
from benchmarks.fleet import FLEET, STEP_MS, EventClock
from benchmarks.machine.database import Database
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, choose_engine

ROWS = 1_000_000
CONNECTIONS = 2

_DEADLINE_SECONDS = 300


class Yardstick:
    """R0 in a database that has nothing else. Each `measure()` is one round."""

    def __init__(self, database: Database, engine: str, partition_days: int) -> None:
        self._database = database
        self._engine = engine
        self._days = partition_days
        steps = ROWS // FLEET.series
        start = EventClock().take(steps)
        bodies = list(rows.statements(np.arange(1, FLEET.series + 1, dtype=np.int32), start, ROWS))
        self._shares = [bodies[first::CONNECTIONS] for first in range(CONNECTIONS)]
        self._span_us = np.array([start, start + steps * STEP_MS], np.int64) * 1000

    def measure(self) -> float:
        """One round: rows per second from the first COPY to the last COMMIT."""
        self._make_table()
        self._database.checkpoint()
        connections = [psycopg.connect(self._database.url, autocommit=True) for _ in self._shares]
        try:
            seconds = write_together(connections, self._shares)
            stored = connections[0].execute(f"SELECT count(*) FROM {TABLE}").fetchone()
            if stored != (ROWS,):
                raise RuntimeError(f"R0 wrote {ROWS} rows, but the table has {stored}")
        finally:
            for connection in connections:
                connection.close()
            self._drop_table()
        return ROWS / seconds

    def _make_table(self) -> None:
        with psycopg.connect(self._database.url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
            engine = choose_engine(cursor, self._engine, columnar="off")
            engine.create(cursor, self._days)
            Coverage(engine, self._days).ensure(cursor, self._span_us)

    def _drop_table(self) -> None:
        with psycopg.connect(self._database.url, autocommit=True) as connection:
            connection.execute(f"DROP TABLE {TABLE}")


def write_together(
    connections: list[psycopg.Connection], shares: Sequence[Iterable[bytes]], *, landed: bool = False
) -> float:
    """Seconds that the connections take to write a share each, at once; as rows, or `landed` in columns."""
    errors: list[BaseException] = []
    ready = threading.Barrier(len(connections) + 1)

    def write(connection: psycopg.Connection, share: Iterable[bytes]) -> None:
        try:
            ready.wait()
            rows.copy_all(connection, TABLE, share, landed=landed)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=pair, daemon=True) for pair in zip(connections, shares, strict=True)]
    for thread in threads:
        thread.start()
    ready.wait()
    began = time.monotonic()
    for thread in threads:
        thread.join(_DEADLINE_SECONDS)
    if errors:
        raise errors[0]
    return time.monotonic() - began
