"""How rows get into the readings table: COPY in binary, or INSERT … SELECT FROM unnest where COPY cannot be or failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.binary_rows import TO_2000, copy_body
from telemetry.intake.batch import Batch
from telemetry.timeseries.engine import TABLE

_COPY = f"COPY {TABLE} (time, series_id, value) FROM STDIN (FORMAT BINARY)"

#: µs since 1970 as a timestamptz, exactly: the product of a bigint below 2^53 and an interval is not rounded.
AS_TIME = "(timestamptz 'epoch' + {} * interval '1 microsecond')"

_INSERT = f"""
INSERT INTO {TABLE} (time, series_id, value)
SELECT {AS_TIME.format("t")}, s, v FROM unnest(%s::bigint[], %s::int[], %s::float8[]) AS u(t, s, v)
ON CONFLICT (series_id, time) DO NOTHING
RETURNING series_id, (extract(epoch FROM time) * 1000000)::bigint
"""


def binary_rows(batch: Batch) -> bytes:
    """The rows as COPY's binary format has them, header and trailer included."""
    return copy_body([(">i8", batch.times - TO_2000), (">i4", batch.series), (">f8", batch.values)])


def copy_rows(connection: psycopg.Connection[Any], batch: Batch) -> None:
    """COPY rows that are believed to be new. Raises UniqueViolation where one is not."""
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(binary_rows(batch))


def insert_rows(connection: psycopg.Connection[Any], batch: Batch) -> NDArray[np.bool_]:
    """Insert rows of which some may be there already; answers a mask of those that were new.

    Rows must be distinct in (series, time).
    """
    lists = [batch.times.tolist(), batch.series.tolist(), batch.values.tolist()]
    written = set(connection.execute(_INSERT, lists).fetchall())
    pairs = zip(lists[1], lists[0], strict=True)
    return np.fromiter((pair in written for pair in pairs), np.bool_, len(batch))


def can_copy(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server takes COPY FROM STDIN: PostgreSQL compiled to WebAssembly does not."""
    row = connection.execute("SELECT version()").fetchone()
    return row is not None and "emscripten" not in row[0].lower()
