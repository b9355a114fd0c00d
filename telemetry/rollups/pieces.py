"""What has to be made again, in pieces of a bounded size: pure arithmetic over (series, low, high)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.rollups.levels import Level

__all__ = ["Pieces", "union"]

#: No piece is longer, in µs: a fetch stays bounded also at a thousand readings a second.
_LONGEST = 6 * 3_600_000_000


@dataclass(slots=True)
class Pieces:
    """Ranges [low, high) in µs, one a row, sorted by (series, low); those of a series do not overlap."""

    series: NDArray[np.int32]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    @staticmethod
    def none() -> Pieces:
        """Nothing."""
        return Pieces(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.series)

    def at(self, rows: slice | NDArray[np.bool_]) -> Pieces:
        """Those rows of it."""
        return Pieces(self.series[rows], self.low[rows], self.high[rows])

    def before(self, end: int) -> Pieces:
        """What of it lies before that time."""
        cut = Pieces(self.series, self.low, np.minimum(self.high, end))
        return cut.at(cut.low < cut.high)

    def since(self, start: int) -> Pieces:
        """What of it lies at or after that time."""
        cut = Pieces(self.series, np.maximum(self.low, start), self.high)
        return cut.at(cut.low < cut.high)

    def cut(self) -> Pieces:
        """The same in pieces that are not too long to be fetched at once."""
        parts = -(-(self.high - self.low) // _LONGEST)
        owner = np.repeat(np.arange(len(self)), parts)
        place = np.arange(len(owner)) - np.repeat(np.cumsum(parts) - parts, parts)
        low = self.low[owner] + place * _LONGEST
        return Pieces(self.series[owner], low, np.minimum(low + _LONGEST, self.high[owner]))


def union(marked: Sequence[Pieces], level: Level) -> Pieces:
    """What they say together, in whole buckets of a level: overlapping and touching ranges are one."""
    series = np.concatenate([np.empty(0, np.int32), *(pieces.series for pieces in marked)])
    if not len(series):
        return Pieces.none()
    low = np.concatenate([pieces.low for pieces in marked]) // level.width
    high = -(-np.concatenate([pieces.high for pieces in marked]) // level.width)
    order = np.lexsort((low, series))
    series, low, high = series[order], low[order], high[order]
    # The running maximum of the ends, of each series by itself: in buckets, a series' own range of numbers has room.
    rank = np.cumsum(np.append(0, series[1:] != series[:-1])).astype(np.int64)
    shift = int(high.max()) + 1
    reached = np.maximum.accumulate(high + rank * shift) - rank * shift
    begins = np.ones(len(series), np.bool_)
    begins[1:] = (series[1:] != series[:-1]) | (low[1:] > reached[:-1])
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(series)) - 1
    return Pieces(series[first], low[first] * level.width, reached[last] * level.width)
