"""Readings as COPY … FORMAT BINARY takes them, for what writes to the database without the platform."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import psycopg
from numpy.typing import NDArray

from benchmarks.fleet import STEP_MS

#: Rows of one COPY statement; of one that lands columns, as many as a busy drain has.
STATEMENT_ROWS = 10_000
LANDED_ROWS = 50_000

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("time_length", ">i4"),
        ("time", ">i8"),  # µs since 2000-01-01
        ("series_length", ">i4"),
        ("series", ">i4"),
        ("value_length", ">i4"),
        ("value", ">f8"),
    ]
)
_EPOCH_2000_US = 946_684_800_000_000


def statements(
    series: NDArray[np.int32], start_ms: int, rows: int, step_ms: int = STEP_MS, *, landed: bool = False
) -> Iterator[bytes]:
    """COPY bodies of STATEMENT_ROWS rows: every series once at `start_ms`, then once `step_ms` later, and so on.

    That is the order in which the platform is sent its readings, too. With `landed` they are bodies of LANDED_ROWS, each
    sorted by (series, time), as a drain lands columns.
    """
    size = LANDED_ROWS if landed else STATEMENT_ROWS
    random = np.random.default_rng(7)
    for first in range(0, rows, size):
        number = np.arange(first, min(first + size, rows))
        if landed:
            number = number[np.argsort(number % series.size, kind="stable")]
        batch = np.empty(number.size, _ROW)
        batch["fields"] = 3
        batch["time_length"] = batch["value_length"] = 8
        batch["series_length"] = 4
        batch["time"] = (start_ms + number // series.size * step_ms) * 1000 - _EPOCH_2000_US
        batch["series"] = series[number % series.size]
        batch["value"] = random.normal(20.0, 5.0, number.size).round(2)
        yield _HEADER + batch.tobytes() + _TRAILER


def copy_all(connection: psycopg.Connection, table: str, bodies: Iterable[bytes], *, landed: bool = False) -> None:
    """Write the bodies to `table`, each in a COPY statement and a transaction of its own; with `landed` into columns."""
    with connection.cursor() as cursor:
        if landed:
            cursor.execute("SET timescaledb.enable_direct_compress_copy = on")
        for body in bodies:
            with cursor.copy(f"COPY {table} (time, series_id, value) FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(body)
