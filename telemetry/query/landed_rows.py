"""Windows of a question that lie in landed columns: read in stretches, and computed with here instead of on the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.query.snapshot import Cursor
from telemetry.rollups.levels import Level
from telemetry.timeseries import stretches
from telemetry.timeseries.landed import Landed, landed, parts

__all__ = ["LOOK_SECONDS", "LandedRows", "Part", "Windows", "landed_apart", "read", "sums"]

#: From so many windows of the same time on the server adds up; for so many different times it is asked.
_MANY, _MOST_TIMES = 32, 12
#: What is known of landed ranges may be this old, in seconds.
LOOK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Windows:
    """Ranges [low, high) µs since 1970 of series, each with the tag that its rows get."""

    tag: NDArray[np.int32]
    series: NDArray[np.int32]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.series)

    def at(self, rows: NDArray[np.bool_]) -> Windows:
        """Those of them."""
        return Windows(self.tag[rows], self.series[rows], self.low[rows], self.high[rows])

    def between(self, low: int, high: int) -> Windows:
        """What of them lies in [low, high) µs."""
        begin, end = np.maximum(self.low, low), np.minimum(self.high, high)
        return Windows(self.tag, self.series, begin, end).at(begin < end)


#: Where to read: rows of a level, or readings (None).
Part = tuple[Level | None, Windows]


@dataclass(frozen=True, slots=True)
class LandedRows:
    """Readings with the tags of their windows; times in µs since 1970."""

    tag: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]

    def rows(self, columns: Sequence[str], kind: np.dtype[Any]) -> NDArray[Any]:
        """As rows of a level: each reading is a bucket of its own. What it has not (percentiles) is NaN."""
        found = np.empty(len(self.tag), kind)
        found["tag"], found["time"] = self.tag, self.time
        for name in columns:
            if name in ("mean", "min", "max", "first", "last"):
                found[name] = self.value
            else:
                found[name] = {"count": 1, "m2": 0.0, "increase": 0.0}.get(name, np.nan)
        return found


def landed_apart(cursor: Cursor, asked: Sequence[Part]) -> tuple[list[Part], list[tuple[Landed, Windows]]]:
    """What of the parts does not lie in landed columns, and what does."""
    known = landed(cursor, LOOK_SECONDS) if any(level is None for level, _ in asked) else ()
    others: list[Part] = []
    found: list[tuple[Landed, Windows]] = []
    for level, windows in asked:
        if level is not None or not known or not len(windows):
            others.append((level, windows))
            continue
        for part in parts(known, int(windows.low.min()), int(windows.high.max())):
            inside = windows.between(part.low, part.high)
            if len(inside) and part.landed is not None:
                found.append((part.landed, inside))
            elif len(inside):
                others.append((None, inside))
    return others, found


def read(cursor: Cursor, part: Landed, windows: Windows) -> list[LandedRows]:
    """The readings in windows. One that has several tags is read once."""
    order = np.lexsort((windows.low, windows.series))
    series, low = windows.series[order], windows.low[order]
    begins = np.append(True, (series[1:] != series[:-1]) | (low[1:] != low[:-1]))
    first = np.flatnonzero(begins)
    once = stretches.Windows(series[first], low[first], windows.high[order][first])
    held, times, values = stretches.in_windows(cursor, part, once)
    window = stretches.window_of(once, held, times)
    tags = np.diff(np.append(first, len(order)))
    found = []
    for turn in range(int(tags.max())):
        rows = tags[window] > turn
        found.append(LandedRows(windows.tag[order][first[window[rows]] + turn], times[rows], values[rows]))
    return found


def sums(cursor: Cursor, part: Landed, windows: Windows, edges: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    """(tag, bucket, rows, count, mean and what else ``kind`` has of min and max), of a tag and bucket perhaps several; a
    bucket is its place between the edges (µs)."""
    pieces = _cut(windows, edges)
    _, span, many = np.unique(np.stack([pieces.low, pieces.high]), axis=1, return_inverse=True, return_counts=True)
    span, common = span.ravel(), np.flatnonzero(many >= _MANY)
    if len(common) > _MOST_TIMES:
        common = common[:0]
    found = [np.empty(0, kind)]
    for place in common:
        found.append(_sums_of(cursor, pieces.at(span == place), edges, kind))
    if len(rest := pieces.at(~np.isin(span, common))):
        found += [_added_up(each, edges, kind) for each in read(cursor, part, rest)]
    return np.concatenate(found)


def _cut(windows: Windows, edges: NDArray[np.int64]) -> Windows:
    """Windows cut at the edges inside them."""
    first = np.searchsorted(edges, windows.low, "right") - 1
    many = np.searchsorted(edges, windows.high, "left") - first
    owner = np.repeat(np.arange(len(windows)), many)
    bucket = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many) + first[owner]
    low, high = np.maximum(windows.low[owner], edges[bucket]), np.minimum(windows.high[owner], edges[bucket + 1])
    return Windows(windows.tag[owner], windows.series[owner], low, high)


def _sums_of(cursor: Cursor, windows: Windows, edges: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    """Of windows that all are the same time, inside one bucket."""
    low, high = int(windows.low[0]), int(windows.high[0])
    sent = np.sort(stretches.sums_in(cursor, np.unique(windows.series), low, high), order="series")
    place = np.searchsorted(sent["series"], windows.series)
    place[place == len(sent)] = 0
    there = np.flatnonzero(sent["series"][place] == windows.series) if len(sent) else np.empty(0, np.intp)
    rows = sent[place[there]]
    found = np.empty(len(there), kind)
    found["tag"], found["bucket"] = windows.tag[there], np.searchsorted(edges, low, "right") - 1
    found["rows"] = found["count"] = rows["count"]
    found["mean"] = rows["sum"] / rows["count"]
    for name in {"min", "max"}.intersection(kind.names or ()):
        found[name] = rows[name]
    return found


def _added_up(readings: LandedRows, edges: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
    bucket = np.searchsorted(edges, readings.time, "right") - 1
    order = np.lexsort((bucket, readings.tag))
    tag, bucket, value = readings.tag[order], bucket[order], readings.value[order]
    first = np.flatnonzero(np.append(True, (tag[1:] != tag[:-1]) | (bucket[1:] != bucket[:-1]))[: len(tag)])
    found = np.empty(len(first), kind)
    if len(first):
        count = np.diff(np.append(first, len(tag)))
        found["tag"], found["bucket"] = tag[first], bucket[first]
        found["rows"] = found["count"] = count
        found["mean"] = np.add.reduceat(value, first) / count
        for name in {"min", "max"}.intersection(kind.names or ()):
            found[name] = (np.minimum if name == "min" else np.maximum).reduceat(value, first)
    return found
