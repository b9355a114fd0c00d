"""Readings stored as drains store them, with their marks, and rolled up as far as a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import psycopg
from django.db import connection as django_connection

from telemetry.intake.batch import Batch
from telemetry.rollups.levels import LEVELS
from telemetry.rollups.marks import mark
from telemetry.rollups.refresh import refresh
from telemetry.store.frontier import Frontier
from telemetry.store.loaders import Loader, can_copy
from telemetry.store.write import write
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, as_timestamp, engine_in_use

__all__ = ["Inside", "Reading", "begin", "by_series", "put", "roll_up"]

#: (series id, µs since 1970, value).
Reading = tuple[int, int, float]
Connection = Any


class Inside:
    """Django's connection as one of our own: what is done over it ends with the test's transaction."""

    def __init__(self) -> None:
        django_connection.ensure_connection()
        self._connection = django_connection.connection
        self.broken = False

    def cursor(self) -> psycopg.Cursor[Any]:
        return psycopg.Cursor(self._connection)

    def execute(self, query: Any, parameters: Any = None, *, binary: bool = False) -> psycopg.Cursor[Any]:
        return self.cursor().execute(query, parameters, binary=binary)

    def transaction(self) -> Any:
        return self._connection.transaction()


def begin(connection: Connection, upto: int = 0) -> None:
    """No reading, no rollup, no mark; rollups are said to be right up to that time."""
    tables = ", ".join([TABLE, "telemetry_rollupmark", *(level.table for level in LEVELS)])
    connection.execute(f"TRUNCATE {tables}")
    connection.execute("DELETE FROM telemetry_rollupstate")
    connection.execute("INSERT INTO telemetry_rollupstate (id, rolled_upto) VALUES (1, %s)", [as_timestamp(upto)])


def put(connection: Connection, readings: Sequence[Reading]) -> None:
    """Store readings and mark them, in one transaction; what is stored already stays as it is."""
    rows = sorted(readings)
    series = np.array([row[0] for row in rows], np.int32)
    times = np.array([row[1] for row in rows], np.int64)
    values = np.array([row[2] for row in rows], np.float64)
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
        Coverage(engine, 7).ensure(cursor, times)
    with connection.transaction():
        write(
            connection, Batch(series, times, values), Frontier(), Loader(can_copy(connection), engine.refuses_repeats)
        )
        mark(connection, Batch(series, times, values))


def roll_up(connection: Connection, upto: int) -> None:
    """Make the rollups right before that time (µs since 1970)."""
    assert refresh(connection, upto).complete


def by_series(readings: Sequence[Reading]) -> Mapping[int, list[tuple[int, float]]]:
    """(time, value) of each series in time order; of several at one time the first that was stored."""
    found: dict[int, dict[int, float]] = {}
    for series, time, value in readings:
        found.setdefault(series, {}).setdefault(time, value)
    return {series: sorted(rows.items()) for series, rows in found.items()}
