"""Which table answers which part of a question exactly: the coarsest one whose rows are whole, clean and inside one bucket.

Pure arithmetic over windows (series, low, high). A row of a level answers for its time only where it lies inside one bucket,
ends before what is rolled up, and is not marked as stale. What no level may answer for is left to the readings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from telemetry.rollups.levels import LEVELS, Level
from telemetry.rollups.pieces import Pieces, union

__all__ = ["Mode", "Sources", "choose"]

Int64 = NDArray[np.int64]
Intervals = tuple[Int64, Int64]
#: (level, low, high) → (series, low, high) of what is stale there.
Marks = Callable[[Level, int, int], Sequence[tuple[int, int, int]]]

_MINUTE = 60_000_000


class Mode(Enum):
    """How rows of a level may be used."""

    #: Several rows of a level make up a bucket.
    MERGED = "merged"
    #: A bucket is exactly one row, as for percentiles, which cannot be merged.
    WHOLE = "whole"
    #: Never: only readings answer.
    RAW = "raw"


@dataclass(slots=True)
class Sources:
    """Windows by level, and those that only the readings answer for."""

    levels: dict[Level, Pieces] = field(default_factory=dict)
    raw: Pieces = field(default_factory=Pieces.none)

    @property
    def coarsest(self) -> str:
        """raw, minute, hour or day."""
        return max(self.levels, key=lambda level: level.width).name if self.levels else "raw"

    @property
    def windows(self) -> int:
        """How often an index is gone down."""
        return len(self.raw) + sum(map(len, self.levels.values()))

    def level_rows(self) -> int:
        """The most rows that the levels can have for this."""
        return sum(int((part.high - part.low).sum() // level.width) for level, part in self.levels.items())


def choose(series: NDArray[np.int32], edges: Int64, upto: int, marks: Marks, mode: Mode) -> Sources:
    """Where to read each series, over buckets with these edges (cut at the question's start and end).

    `upto`: event time from which on only readings are right.
    """
    count = len(series)
    pending = Pieces(np.sort(series), np.full(count, edges[0]), np.full(count, edges[-1]))
    chosen = Sources()
    for level in reversed(LEVELS if mode is not Mode.RAW else ()):
        inside = _clipped(_usable(edges, level, mode), level.floor(upto))
        if not len(inside[0]) or not len(pending):
            continue
        taken, rest = _split(pending, inside)
        stale = union(_as_pieces(marks(level, int(inside[0][0]), int(inside[1][-1]))), level)
        if len(stale):
            taken, late = _split_by_series(taken, stale)
            rest = _joined(rest, late)
        if len(taken):
            chosen.levels[level] = taken
        pending = rest
    chosen.raw = pending
    return chosen


def _usable(edges: Int64, level: Level, mode: Mode) -> Intervals:
    """The times whose rows of a level lie inside one bucket, as disjoint ascending intervals."""
    lengths = np.diff(edges)
    if mode is Mode.WHOLE:
        if not level.percentiles:
            return _nothing()
        fits = (edges[:-1] % level.width == 0) & (lengths == level.width)
        return _touching_joined(edges[:-1][fits], edges[1:][fits])
    aligned = not (edges[1:-1] % level.width).any()
    # Where most buckets hold but one whole row beside two parts, reading them in pieces costs more than it saves.
    if not aligned and np.median(lengths) < 2 * level.width:
        return _nothing()
    low, high = edges[:-1] + -edges[:-1] % level.width, edges[1:] - edges[1:] % level.width
    fits = low < high
    return _touching_joined(low[fits], high[fits])


def _split(windows: Pieces, inside: Intervals) -> tuple[Pieces, Pieces]:
    """What of the windows lies inside, and what outside of these intervals."""
    return _cut(windows, inside), _cut(windows, _complement(inside))


def _split_by_series(windows: Pieces, stale: Pieces) -> tuple[Pieces, Pieces]:
    """(clean, stale) parts of windows. Series and minute make one number, so that one axis holds all of them."""
    axis = Pieces(windows.series, _on_axis(windows.series, windows.low), _on_axis(windows.series, windows.high))
    inside = (_on_axis(stale.series, stale.low), _on_axis(stale.series, stale.high))
    late, clean = _split(axis, inside)
    return _off_axis(clean), _off_axis(late)


def _on_axis(series: NDArray[np.int32], times: Int64) -> Int64:
    return (series.astype(np.int64) << 32) + times // _MINUTE


def _off_axis(windows: Pieces) -> Pieces:
    base = windows.series.astype(np.int64) << 32
    return Pieces(windows.series, (windows.low - base) * _MINUTE, (windows.high - base) * _MINUTE)


def _cut(windows: Pieces, inside: Intervals) -> Pieces:
    """The intersection of each window with each interval."""
    low, high = inside
    first = np.searchsorted(high, windows.low, "right")
    many = np.maximum(np.searchsorted(low, windows.high, "left") - first, 0)
    window = np.repeat(np.arange(len(windows)), many)
    place = np.arange(len(window)) - np.repeat(np.cumsum(many) - many, many) + first[window]
    return Pieces(
        windows.series[window],
        np.maximum(windows.low[window], low[place]),
        np.minimum(windows.high[window], high[place]),
    )


def _complement(inside: Intervals) -> Intervals:
    """What lies between ascending disjoint intervals, and beyond them on both sides."""
    ends = np.iinfo(np.int64)
    low, high = np.append(ends.min, inside[1]), np.append(inside[0], ends.max)
    fits = low < high
    return low[fits], high[fits]


def _clipped(inside: Intervals, end: int) -> Intervals:
    low, high = inside[0], np.minimum(inside[1], end)
    fits = low < high
    return low[fits], high[fits]


def _touching_joined(low: Int64, high: Int64) -> Intervals:
    if not len(low):
        return _nothing()
    begins = np.append(True, low[1:] != high[:-1])
    ends = np.append(begins[1:], True)
    return low[begins], high[ends]


def _joined(one: Pieces, other: Pieces) -> Pieces:
    """Windows of both, in order of series and time."""
    series, low = np.append(one.series, other.series), np.append(one.low, other.low)
    order = np.lexsort((low, series))
    return Pieces(series[order], low[order], np.append(one.high, other.high)[order])


def _as_pieces(rows: Sequence[tuple[int, int, int]]) -> list[Pieces]:
    if not rows:
        return []
    columns = np.array(rows, np.int64)
    return [Pieces(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2])]


def _nothing() -> Intervals:
    return np.empty(0, np.int64), np.empty(0, np.int64)
