"""While judging lags behind storing: how far each series was at the judged position, for late judging to begin from."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from thresholds.order import NEVER

__all__ = ["advance", "forget", "frontier_of", "remember"]

Connection = psycopg.Connection[Any]


def remember(connection: Connection, shard: int, series: NDArray[np.int32], newest: NDArray[np.int64]) -> None:
    """Readings of these series are stored unjudged; their newest event times before that, where none is kept yet."""
    times = [None if time == NEVER else time for time in newest.tolist()]
    connection.execute(
        "INSERT INTO thresholds_unjudgedfrontier (shard, series_id, newest) "
        "SELECT %s, s, n FROM unnest(%s::int[], %s::bigint[]) AS u(s, n) ON CONFLICT DO NOTHING",
        [shard, series.tolist(), times],
    )


def frontier_of(connection: Connection, series: NDArray[np.int32]) -> dict[int, int]:
    """The frontier of those of these series that is kept, NEVER where there was no reading."""
    rows = connection.execute(
        "SELECT series_id, newest FROM thresholds_unjudgedfrontier WHERE series_id = ANY(%s)", [series.tolist()]
    ).fetchall()
    return {series_id: NEVER if newest is None else newest for series_id, newest in rows}


def advance(connection: Connection, series: NDArray[np.int32], newest: NDArray[np.int64]) -> None:
    """These series were judged up to these event times."""
    connection.execute(
        "UPDATE thresholds_unjudgedfrontier f SET newest = greatest(f.newest, u.n) "
        "FROM unnest(%s::int[], %s::bigint[]) AS u(s, n) WHERE f.series_id = u.s",
        [series.tolist(), newest.tolist()],
    )


def forget(connection: Connection, shard: int) -> None:
    """Judging has caught up, or the range was given up."""
    connection.execute("DELETE FROM thresholds_unjudgedfrontier WHERE shard = %s", [shard])
