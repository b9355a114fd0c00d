"""Readings for tests of rollups: sent, stored, rolled up, and recomputed the slow and obvious way."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from django.db import connection

from telemetry.database import connect
from telemetry.rollups.levels import LEVELS, Level
from telemetry.rollups.refresh import Refreshed, refresh
from telemetry.timeseries.engine import as_microseconds

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
#: 2026-11-01 00:00 UTC, in µs.
START = 1_793_491_200_000_000

Row = tuple[int, int, float]


def stored() -> list[Row]:
    """(series, time in µs, value) of everything in the table, by series and time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT series_id, time, value FROM telemetry_reading ORDER BY series_id, time")
        return [(series, as_microseconds(time), value) for series, time, value in cursor.fetchall()]


def rolled(level: Level) -> dict[tuple[int, int], dict[str, Any]]:
    """The rows of a level's table by (series, time in µs)."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {level.table}")
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return {(row.pop("series_id"), as_microseconds(row.pop("time"))): row for row in rows}


def recomputed(rows: Iterable[Row], level: Level, before: int) -> dict[tuple[int, int], dict[str, Any]]:
    """What the level's table should have: one bucket after the other, by numpy's own functions."""
    groups = itertools.groupby(rows, lambda row: (row[0], row[1] - row[1] % level.width))
    return {
        key: _bucket(np.array([value for _, _, value in group]), level)
        for key, group in groups
        if key[1] + level.width <= before
    }


def _bucket(values: Any, level: Level) -> dict[str, Any]:
    steps = [after - before if after >= before else after for before, after in itertools.pairwise(values.tolist())]
    bucket = {
        "count": len(values),
        "mean": values.mean(),
        "m2": values.var() * len(values),
        "min": values.min(),
        "max": values.max(),
        "first": values[0],
        "last": values[-1],
        "increase": sum(steps),
    }
    if level.percentiles:
        bucket |= {f"p{q}": np.percentile(values, q) for q in (50, 95, 99)}
    return bucket


def refresh_upto(upto: int, **options: Any) -> Refreshed:
    with connect(autocommit=True) as own:
        return refresh(own, upto, **options)


def assert_rolled_up(upto: int) -> None:
    """Every level has exactly the buckets that are over, and each is right."""
    rows = stored()
    for level in LEVELS:
        assert_buckets_equal(rolled(level), recomputed(rows, level, level.floor(upto)), level)


def assert_buckets_equal(found: dict[Any, Any], wanted: dict[Any, Any], level: Level) -> None:
    """The same buckets; numbers may differ by rounding."""
    assert found.keys() == wanted.keys(), level.name
    for key, bucket in wanted.items():
        for name, value in bucket.items():
            scale = max(abs(bucket["min"]), abs(bucket["max"]))
            if name == "m2":
                scale = scale * scale * bucket["count"]
            assert abs(found[key][name] - value) <= 1e-12 * scale, (level.name, key, name, found[key][name], value)
