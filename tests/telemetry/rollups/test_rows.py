"""Buckets in the place of those that were there."""

from __future__ import annotations

import numpy as np
from django.db import connection

from telemetry.database import connect
from telemetry.rollups.buckets import roll
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.pieces import Pieces
from telemetry.rollups.refresh import _alone
from telemetry.rollups.rows import Table
from telemetry.timeseries.engine import as_timestamp, engine_in_use
from tests.telemetry.rollups.readings import MINUTE as ONE
from tests.telemetry.rollups.readings import START

_SERIES, _MINUTES = 5_000, 20


def _fill(since: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {MINUTE.table} (series_id, time, count, mean, m2, min, max, first, last, increase) "
            "SELECT s, %s::timestamptz + m * interval '1 minute', 1, 0, 0, 0, 0, 0, 0, 0 "
            "FROM generate_series(1, %s) s, generate_series(0, %s) m",
            [as_timestamp(since), _SERIES, _MINUTES - 1],
        )


def test_the_newest_buckets_of_many_series_are_replaced_at_once_though_no_statistics_know_them(
    platform_db: None,
) -> None:
    newest = START + _MINUTES * ONE
    _fill(START)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {MINUTE.table}")
    _fill(newest)
    series = np.arange(1, _SERIES + 1, dtype=np.int32)
    # Of each series another minute, so that between them all there is more than is meant.
    low = newest + (series % (_MINUTES - 1)).astype(np.int64) * ONE
    none = roll(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), MINUTE)
    with connect(autocommit=True) as own, _alone(own):
        with own.cursor() as cursor:
            ranges = tuple(engine_in_use(cursor).ranges(cursor, MINUTE.table))
        own.let_statements_take(5)  # looking through all pieces for each row of those minutes takes half a minute
        Table(MINUTE, ranges, copy=False).replace(own, Pieces(series, low, low + ONE), none)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), count(DISTINCT series_id) FROM {MINUTE.table}")
        assert cursor.fetchone() == (_SERIES * (2 * _MINUTES - 1), _SERIES)
