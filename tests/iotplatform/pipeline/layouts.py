"""The readings table with a unique index, and without one: the store then has nothing but its frontier."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from django.conf import settings
from django.db import connection

from telemetry.timeseries.columnar import Columnar
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import TABLE, Engine, choose_engine, engine_in_use
from telemetry.timeseries.partitions import Partitions
from telemetry.timeseries.timescale import Timescale

DAYS = 7


class Layout(enum.Enum):
    """How readings are kept from standing twice."""

    UNIQUE = "unique index"
    #: On TimescaleDB that can land in columns: the columnar layout.
    FRONTIER = "frontier alone"


@contextmanager
def readings_table(layout: Layout, times: list[int]) -> Iterator[Engine]:
    """An empty readings table of that layout in place of the one of `migrate`, with ranges for these times (µs)."""
    with connection.cursor() as cursor:
        installed = engine_in_use(cursor)
        cursor.execute(f"DROP TABLE {TABLE}")
        if isinstance(installed, Timescale):
            engine: Engine = Timescale() if layout is Layout.UNIQUE else Columnar()
        else:
            engine = Partitions()
        engine.create(cursor, DAYS)
        Coverage(engine, DAYS).ensure(cursor, np.array(times, np.int64))
        if layout is Layout.FRONTIER and engine.refuses_repeats:
            cursor.execute(f"DROP INDEX {TABLE}_series_time")
            cursor.execute(f"CREATE INDEX {TABLE}_series_time ON {TABLE} (series_id, time)")
        found = engine_in_use(cursor)
    yield found
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
        platform = settings.PLATFORM
        engine = choose_engine(cursor, platform.timeseries_engine, platform.timeseries_columnar)
        engine.create(cursor, platform.partition_days)
