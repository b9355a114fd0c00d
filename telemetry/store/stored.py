"""The stored values at given (series, time): what late readings are compared with, and judging looks up."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_arrays import int4_array, timestamptz_array
from telemetry.intake.batch import Int32, Int64
from telemetry.timeseries.engine import TABLE, as_timestamp
from telemetry.timeseries.landed import Landed, Part, landed, parts
from telemetry.timeseries.stretches import Costs, in_windows, windows_around

__all__ = ["values_at"]

Connection = psycopg.Connection[Any]
_EACH = f"""
SELECT u.i, r.value
FROM unnest(%b, %b, %b) AS u(i, s, t)
CROSS JOIN LATERAL (
    SELECT value FROM {TABLE} WHERE series_id = u.s AND time = u.t AND time >= %s AND time <= %s LIMIT 1
) r
"""
#: With more than this to look up, what is landed is looked at anew; else what was known some seconds ago will do.
_MANY, _SECONDS = 100, 10.0


def values_at(connection: Connection, series: Int32, times: Int64) -> dict[int, float]:
    """The stored values at these (series, time in µs), by their place in the arrays; what is not stored is left out."""
    if not len(series):
        return {}
    with connection.cursor() as cursor:
        known = landed(cursor, 0.0 if len(series) > _MANY else _SECONDS)
    found: dict[int, float] = {}
    for part in parts(known, int(times.min()), int(times.max()) + 1):
        places = np.flatnonzero((times >= part.low) & (times < part.high))
        if len(places):
            found |= _in_part(connection, part, places, series[places], times[places])
    return found


def _in_part(
    connection: Connection, part: Part, places: NDArray[np.intp], series: Int32, times: Int64
) -> dict[int, float]:
    if part.landed is not None and len(places) > 1:
        return _landed(connection, part.landed, places, series, times)
    parameters = [
        int4_array(places),
        int4_array(series),
        timestamptz_array(times),
        as_timestamp(int(times.min())),
        as_timestamp(int(times.max())),
    ]
    return dict(connection.execute(_EACH, parameters).fetchall())


def _landed(
    connection: Connection, part: Landed, places: NDArray[np.intp], series: Int32, times: Int64
) -> dict[int, float]:
    with connection.cursor() as cursor:
        windows = windows_around(series, times, Costs.of(part, int(time.time() * 1e6)).gap)
        held, at, values = in_windows(cursor, part, windows)
    if not len(held):
        return {}
    # Series and time make one number: both sides are compared on one axis.
    known, first = np.unique(series), min(int(at.min()), int(times.min()))
    width = max(int(at.max()), int(times.max())) - first + 1
    stored = np.searchsorted(known, held) * width + (at - first)
    wanted = np.searchsorted(known, series) * width + (times - first)
    place = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
    there = stored[place] == wanted
    return dict(zip(places[there].tolist(), values[place[there]].tolist(), strict=True))
