"""From readings to buckets: pure arithmetic over columns, no database."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from telemetry.rollups.levels import Level

__all__ = ["QUANTILES", "Buckets", "increase_within", "quantiles_within", "roll"]

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

QUANTILES = (0.50, 0.95, 0.99)


@dataclass(slots=True)
class Buckets:
    """Buckets of one level, one a row, in the order of their readings; what the columns mean is said in `levels`."""

    series: NDArray[np.int32]
    #: Start, µs since 1970.
    time: Int64
    count: Int64
    mean: Float64
    m2: Float64
    min: Float64
    max: Float64
    first: Float64
    last: Float64
    increase: Float64
    #: One column for each of QUANTILES; empty where the level has none.
    quantiles: tuple[Float64, ...] = ()

    def __len__(self) -> int:
        return len(self.series)

    def at(self, rows: NDArray[np.bool_]) -> Buckets:
        """Those rows of it."""
        chosen = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "quantiles"}
        return Buckets(**chosen, quantiles=tuple(column[rows] for column in self.quantiles))


def roll(series: NDArray[np.int32], times: Int64, values: Float64, level: Level) -> Buckets:
    """The buckets of readings that are sorted by (series, time), times in µs since 1970.

    The mean is taken first and the squares of the distances from it are summed: sums of squares would cancel.
    """
    starts_at = times - times % level.width
    begins = np.ones(len(times), np.bool_)
    begins[1:] = (starts_at[1:] != starts_at[:-1]) | (series[1:] != series[:-1])
    first = np.flatnonzero(begins)
    if not len(first):
        nothing = np.empty(0, np.float64)
        none = np.empty(0, np.int64)
        columns = (nothing,) * 7
        return Buckets(series[:0], none, none, *columns, quantiles=(nothing,) * 3 if level.percentiles else ())
    count = np.diff(np.append(first, len(times)))
    mean = np.add.reduceat(values, first) / count
    low, high = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    # Rounding may put the mean of equal readings a hair beside them.
    mean = np.clip(mean, low, high)
    m2 = np.add.reduceat(np.square(values - np.repeat(mean, count)), first)
    return Buckets(
        series=series[first],
        time=starts_at[first],
        count=count.astype(np.int64),
        mean=mean,
        m2=m2,
        min=low,
        max=high,
        first=values[first],
        last=values[first + count - 1],
        increase=increase_within(values, first),
        quantiles=quantiles_within(values, first, count) if level.percentiles else (),
    )


def increase_within(values: Float64, first: NDArray[np.intp]) -> Float64:
    """Of each group of values, beginning at ``first``: the sum of the steps from one to the next. A counter that falls has
    started again from 0, so that step is its new value."""
    steps = np.zeros(len(values))
    steps[1:] = np.where(values[1:] >= values[:-1], values[1:] - values[:-1], values[1:])
    steps[first] = 0.0
    return np.add.reduceat(steps, first)


def quantiles_within(values: Float64, first: NDArray[np.intp], count: NDArray[np.intp]) -> tuple[Float64, ...]:
    """QUANTILES of each group of values, by linear interpolation between its sorted values (numpy's "linear", type 7 of
    Hyndman and Fan, 1996)."""
    group = np.repeat(np.arange(len(first)), count)
    ordered = values[np.lexsort((values, group))]
    found = []
    for quantile in QUANTILES:
        place = (count - 1) * quantile
        below = np.floor(place).astype(np.intp)
        part = place - below
        low, high = ordered[first + below], ordered[first + np.minimum(below + 1, count - 1)]
        step = high - low
        # As numpy does it: from the nearer end, so that the result never leaves [low, high].
        found.append(np.where(part >= 0.5, high - step * (1 - part), low + step * part))
    return tuple(found)
