"""Which readings of a chunk are live: their time exceeds every earlier arrival of their series in log order. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEVER", "Arrivals", "Ordered", "in_order"]

#: Before every time.
NEVER = np.iinfo(np.int64).min
_MOST = 1 << 62


@dataclass(slots=True)
class Arrivals:
    """Readings in log order, one a row. Times in µs since 1970. Masks that are None say the same of every row."""

    series: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    #: Newest event time of each of some series before these readings, NEVER where there was none.
    frontier: Callable[[NDArray[np.int32]], NDArray[np.int64]]
    #: The values of the readings at their frontier, NaN where there is none: (series, frontier) → values.
    values_at: Callable[[NDArray[np.int32], NDArray[np.int64]], NDArray[np.float64]]
    #: To be judged (None: all). Others only move the frontier.
    judged: NDArray[np.bool_] | None = None
    #: Of an import or a backfill (None: none).
    imported: NDArray[np.bool_] | None = None
    #: Stored before already (None: none).
    duplicate: NDArray[np.bool_] | None = None


@dataclass(slots=True)
class Ordered:
    """Some rows of a chunk, by series and within each in log order."""

    #: Places in the chunk.
    rows: NDArray[np.intp]
    series: NDArray[np.int32]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    #: Where each series begins.
    starts: NDArray[np.intp]
    live: NDArray[np.bool_]
    #: The newest event time before each row (NEVER: none), and the value there (NaN: none, or not asked for).
    previous: NDArray[np.int64]
    previous_value: NDArray[np.float64] | None


def in_order(arrivals: Arrivals, rows: NDArray[np.intp], *, with_values: bool) -> Ordered:
    """These rows (all rows of some series), each with what came before it."""
    rows = rows[np.argsort(arrivals.series[rows], kind="stable")]
    series, times, values = arrivals.series[rows], arrivals.times[rows], arrivals.values[rows]
    begins = np.append(True, series[1:] != series[:-1])
    starts = np.flatnonzero(begins)
    newest = arrivals.frontier(series[starts])
    previous = np.empty(len(rows), np.int64)
    previous[1:] = times[:-1]
    previous[starts] = newest
    live = times > previous
    if not live.all():
        segment = np.cumsum(begins) - 1
        previous[1:] = _running_maximum(times, segment)[:-1]
        previous[starts] = newest
        previous = np.maximum(previous, newest[segment])
        live = times > previous
    before = _values_before(arrivals, series, values, starts, newest, live) if with_values else None
    return Ordered(rows, series, times, values, starts, live, previous, before)


def _running_maximum(times: NDArray[np.int64], segment: NDArray[np.intp]) -> NDArray[np.int64]:
    """The maximum of each row's segment up to and with it."""
    low = int(times.min())
    span = int(times.max()) - low + 1
    if span * (int(segment[-1]) + 1) < _MOST:
        shift = segment * span - low
        return np.maximum.accumulate(times + shift) - shift
    distinct, ranks = np.unique(times, return_inverse=True)
    shift = segment * len(distinct)
    return distinct[np.maximum.accumulate(ranks + shift) - shift]


def _values_before(
    arrivals: Arrivals,
    series: NDArray[np.int32],
    values: NDArray[np.float64],
    starts: NDArray[np.intp],
    newest: NDArray[np.int64],
    live: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The value of the latest live row of the same series before each row, else that at the frontier."""
    latest = np.maximum.accumulate(np.where(live, np.arange(len(series)), -1))
    before = np.empty(len(series), np.intp)
    before[1:] = latest[:-1]
    before[starts] = -1
    lengths = np.diff(np.append(starts, len(series)))
    inside = before >= np.repeat(starts, lengths)
    at_frontier = np.full(len(starts), np.nan)
    stored = newest != NEVER
    if stored.any():
        at_frontier[stored] = arrivals.values_at(series[starts[stored]], newest[stored])
    return np.where(inside, values[before], np.repeat(at_frontier, lengths))
