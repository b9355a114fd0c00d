"""A columnar readings table, for tests that need a server which lands drains in columns: others skip them."""

from __future__ import annotations

import numpy as np
import psycopg
import pytest

from telemetry.intake.batch import Batch
from telemetry.store.loaders import Loader
from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from tests.contracts.stores import DAY, NOON

__all__ = ["DAY", "NOON", "everything", "land", "skip_unless_columnar", "status"]

_STATUS = (
    "SELECT c.status FROM timescaledb_information.chunks v JOIN _timescaledb_catalog.chunk c "
    "ON c.schema_name = v.chunk_schema AND c.table_name = v.chunk_name "
    "WHERE v.hypertable_name = 'telemetry_reading' ORDER BY v.range_start"
)


def skip_unless_columnar(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        if not isinstance(engine_in_use(cursor), Columnar) or unsound(cursor) is not None:
            pytest.skip("this server does not land drains in columns")


def land(
    connection: psycopg.Connection, rows: int, start: int = NOON, *, columns: bool = True, series: int = 100
) -> None:
    """Store readings of so many series, one a second each from ``start`` (µs), in columns or as rows; their values are
    their number."""
    number = np.arange(rows)
    batch = Batch(
        (number % series + 1).astype(np.int32), start + number // series * 1_000_000, number.astype(np.float64)
    )
    batch = batch.at(np.lexsort((batch.times, batch.series)))
    with connection.cursor() as cursor:
        Coverage(engine_in_use(cursor), 7).ensure(cursor, batch.times)
    with connection.transaction():
        Loader(copy=True, refuses_repeats=False, columnar_from=1 if columns else None).put(connection, batch)


def everything(connection: psycopg.Connection) -> tuple[int, int, float]:
    """Rows, different (series, time), and the sum of the values, which are whole numbers."""
    found = connection.execute(
        "SELECT count(*), count(DISTINCT (series_id, time)), sum(value) FROM telemetry_reading"
    ).fetchone()
    assert found is not None
    return found


def status(connection: psycopg.Connection) -> list[int]:
    """TimescaleDB's status of each chunk: 1 sorted columns, 3 landed, 8 more with rows beside them, 0 rows alone."""
    return [row[0] for row in connection.execute(_STATUS).fetchall()]
