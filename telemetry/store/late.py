"""Readings that come after the time of their chunk is over, and find it being sorted."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.store.loaders import Loader
from telemetry.timeseries.columnar import BeingSorted

logger = logging.getLogger(__name__)

#: They wait so long (s), which is longer than whoever sorts keeps them waiting before he gives up (`telemetry.compaction`).
#: Where he does not, the drain is put off: it looks shortly now and then, and the worker's other shards go on.
_SECONDS, _SHORTLY = 3.0, 0.05


class LateReadings:
    """Of one shard: whether its drain was put off, for all of a log waits where its first entries cannot be stored."""

    def __init__(self) -> None:
        self._put_off = False

    def wait(self, connection: psycopg.Connection[Any], loader: Loader, times: NDArray[np.int64]) -> None:
        """In the drain's transaction, before any reading is looked at: have the chunks of these event times (µs) to write
        to. Raises BeingSorted; then nothing has been done."""
        try:
            loader.wait_for(connection, times, _SHORTLY if self._put_off else _SECONDS)
        except BeingSorted as error:
            if not self._put_off:
                logger.info("late_readings_wait", extra={"for": str(error)})
            self._put_off = True
            raise
        self._put_off = False
