"""The readings table as it is, asked directly: what receipts and counts are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from tests.faults.plan import METRICS, Batch, Reserved, values

__all__ = ["Table"]

_SERIES = """
SELECT d.name, s.metric, s.id FROM telemetry_series s JOIN telemetry_device d ON d.id = s.device_id
WHERE d.name = ANY(%s)
"""
_ROWS = """
SELECT series_id, (extract(epoch FROM time) * 1000000)::bigint, value FROM telemetry_reading
WHERE series_id = ANY(%s) AND time >= timestamptz 'epoch' + %s * interval '1 microsecond'
AND time < timestamptz 'epoch' + %s * interval '1 microsecond' ORDER BY series_id, time
"""


class Table:
    """One connection, made anew after an error. Not thread-safe. Raises psycopg.Error."""

    def __init__(self, url: str, reserved: Reserved) -> None:
        self._url = url
        self._reserved = reserved
        self._connection: psycopg.Connection[Any] | None = None

    def missing(self, batch: Batch) -> int:
        """How many of a batch's readings are not there with their values."""
        missing = 0
        for part in batch.parts:
            times = self._reserved.times(part.start, part.end)
            for number in range(len(METRICS)):
                found = self._found(part.device, number, int(times[0]), int(times[-1]) + 1)
                right = dict(
                    zip(times.tolist(), values(part.device, number, part.start, part.end).tolist(), strict=True)
                )
                missing += sum(found.get(at) != value for at, value in right.items())
        return missing

    def all_of(self, device: int, metric: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times (µs) and values of a whole series, in time order, doubles included."""
        rows = self._ask(_ROWS, [self._ids(device, metric), 0, 2**52])
        return np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], np.float64)

    def query(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        return self._ask(sql, parameters)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _found(self, device: int, metric: int, start: int, end: int) -> dict[int, float]:
        return {row[1]: row[2] for row in self._ask(_ROWS, [self._ids(device, metric), start, end])}

    def _ids(self, device: int, metric: int) -> list[int]:
        # Asked every time: where the database was set back, a series may have got another id.
        name = self._reserved.devices[device]
        return [row[2] for row in self._ask(_SERIES, [[name]]) if row[1] == METRICS[metric]]

    def _ask(self, sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, connect_timeout=5, options="-c statement_timeout=30000"
                )
            return self._connection.execute(sql, parameters).fetchall()
        except psycopg.Error:
            self.close()
            raise
