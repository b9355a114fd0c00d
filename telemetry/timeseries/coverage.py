"""Which event times the readings table has ranges for, kept in memory; what is missing is made before a drain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.timeseries.engine import Cursor, Engine, aligned


class Coverage:
    """The ranges of one engine's table, remembered by one process. Not thread-safe."""

    def __init__(self, engine: Engine, days: int) -> None:
        self._engine = engine
        self._days = days
        self._known: list[tuple[int, int]] = []

    def forget(self) -> None:
        """After an error, or when ranges may have been dropped."""
        self._known = []

    def ensure(self, cursor: Cursor, times: NDArray[np.int64]) -> int:
        """Make the ranges that these event times (µs) need; answers how many were made.

        Must run outside the drain's transaction: making a range takes locks that others would wait for.
        """
        missing = self._missing(times)
        if not missing.size:
            return 0
        self._known = [(part.start, part.end) for part in self._engine.ranges(cursor)]
        made = 0
        while (missing := self._missing(missing)).size:
            start, end = self._gap_around(int(missing[0]))
            self._engine.add_range(cursor, start, end)
            self._known.append((start, end))
            made += 1
        return made

    def _missing(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        uncovered = times
        for start, end in self._known:
            if not uncovered.size:
                break
            uncovered = uncovered[(uncovered < start) | (uncovered >= end)]
        return uncovered

    def _gap_around(self, time: int) -> tuple[int, int]:
        """An aligned range around that time, cut where ranges of another width are its neighbours."""
        start, end = aligned(time, self._days)
        for low, high in self._known:
            if high <= time:
                start = max(start, high)
            elif low > time:
                end = min(end, low)
        return start, end
