"""Which event times the readings table has ranges for, kept in memory; what is missing is made before a drain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from telemetry.timeseries.engine import MICROSECONDS_PER_DAY, Cursor, Engine, aligned


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
        made, width, wide = 0, self._engine.width(cursor, self._days), self._days * MICROSECONDS_PER_DAY
        # History that is brought in gets ranges as wide as is set, however narrow those of what comes now are.
        history = max([int(missing.max()), *(end for _, end in self._known)]) - wide
        while (missing := self._missing(missing)).size:
            start, end = self._gap_around(int(missing[0]), width if missing[0] >= history else wide)
            self._engine.add_range(cursor, start, end)
            self._known.append((start, end))
            made += 1
        return made

    def over(self, times: NDArray[np.int64], now: int) -> NDArray[np.int64]:
        """Those of these event times (µs) whose range was over by ``now`` (µs): what may be in the way of who sorts it."""
        begun = max((end for _, end in self._known if end <= now), default=0)
        return times[times < begun]

    def _missing(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        uncovered = times
        for start, end in self._known:
            if not uncovered.size:
                break
            uncovered = uncovered[(uncovered < start) | (uncovered >= end)]
        return uncovered

    def _gap_around(self, time: int, width: int) -> tuple[int, int]:
        """An aligned range of that width (µs) around that time, cut where ranges of another width are its neighbours."""
        start, end = aligned(time, width)
        for low, high in self._known:
            if high <= time:
                start = max(start, high)
            elif low > time:
                end = min(end, low)
        return start, end
