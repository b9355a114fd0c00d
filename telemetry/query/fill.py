"""What stands in buckets without a reading. Pure; `count` stays 0 there, so that what was filled can be told."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["filled"]

Float64 = NDArray[np.float64]


def filled(column: Float64, middles: NDArray[np.int64], how: str) -> Float64:
    """A column (lines × buckets, NaN where there is nothing) with its gaps filled.

    previous: the last value before the gap. linear: on the straight line between its neighbours, at the middles of the
    buckets (µs). Neither reaches beyond the first or the last value; none and null leave gaps as they are.
    """
    if how == "previous":
        return _carried(column)
    if how == "linear":
        return np.array([_interpolated(row, middles) for row in column]).reshape(column.shape)
    return column


def _carried(column: Float64) -> Float64:
    known = ~np.isnan(column)
    newest = np.maximum.accumulate(np.where(known, np.arange(column.shape[1]), -1), axis=1)
    carried = np.take_along_axis(column, np.maximum(newest, 0), axis=1)
    # Not beyond the last value: what has not been measured yet did not stay as it was.
    reached = np.maximum.accumulate(known[:, ::-1], axis=1)[:, ::-1]
    return np.where((newest >= 0) & reached, carried, np.nan)


def _interpolated(row: Float64, middles: NDArray[np.int64]) -> Float64:
    known = np.flatnonzero(~np.isnan(row))
    if len(known) < 2:
        return row
    filled = row.copy()
    between = slice(known[0], known[-1] + 1)
    filled[between] = np.interp(middles[between], middles[known], row[known])
    # Measured values as they are, not as interpolation rounds them.
    filled[known] = row[known]
    return filled
