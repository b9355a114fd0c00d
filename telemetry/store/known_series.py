"""Which series still exist, and whose they are: queued readings of a deleted device must not be stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.intake.batch import Int32
from telemetry.registry.young_series import YoungSeries


class KnownSeries:
    """Device ids by series id, filled from the database on demand. Forgotten when the shard's series epoch moves."""

    def __init__(self, young: YoungSeries | None = None) -> None:
        self._young = young
        self._device = np.zeros(1024, np.int32)
        self._epoch: int | None = None

    def use_epoch(self, epoch: int) -> None:
        """The epoch that was read with the shard's lock; whoever deletes devices bumps it under the same lock."""
        if epoch != self._epoch:
            self._device[:] = 0
            self._epoch = epoch

    def devices(self, connection: psycopg.Connection[Any], series: Int32) -> NDArray[np.int32]:
        """The device of each series, 0 where the series is gone."""
        if not len(series):
            return np.empty(0, np.int32)
        largest = int(series.max())
        if largest >= len(self._device):
            self._device = np.concatenate([self._device, np.zeros(max(largest + 1, 2 * len(self._device)), np.int32)])
        found = self._device[series]
        unknown = np.unique(series[found == 0])
        if len(unknown):
            self._load(connection, unknown)
            missing = unknown[self._device[unknown] == 0]
            if len(missing) and self._young is not None:
                # Deleted, or the database was set back to before they were registered.
                self._young.bring_back(connection, missing.tolist())
                self._load(connection, missing)
            found = self._device[series]
        return found

    def _load(self, connection: psycopg.Connection[Any], series: Int32) -> None:
        rows = connection.execute("SELECT id, device_id FROM telemetry_series WHERE id = ANY(%s)", [series.tolist()])
        for series_id, device_id in rows.fetchall():
            self._device[series_id] = device_id
