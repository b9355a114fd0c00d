"""Which readings of a decoded request can be accepted. Vectorised; a slow path runs only to explain faults.

Pure: it works on arrays and on plain records, and knows neither the database nor the log.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import NO_TIME, Columns, Float64, Int64, Rejection
from telemetry.intake.refuse import refuse_row
from telemetry.intake.times import iso


@dataclass(frozen=True, slots=True)
class Window:
    """Event times that are accepted: [oldest, newest], µs since 1970."""

    oldest: int
    newest: int


def fill_times(columns: Columns, now: int) -> None:
    """Left-out times become the time of receipt (µs) plus the reading's index in µs, so that they stay in order."""
    if len(columns.times) and columns.times.min() == NO_TIME:
        missing = columns.times == NO_TIME
        columns.times = np.where(missing, now + columns.index.astype(np.int64), columns.times)


def outside_window(times: Int64, window: Window) -> NDArray[np.bool_] | None:
    """Rows that are too old or too far in the future; None where there are none (the usual case)."""
    if not len(times) or (times.min() >= window.oldest and times.max() <= window.newest):
        return None
    mask: NDArray[np.bool_] = (times < window.oldest) | (times > window.newest)
    return mask


def outside_range(values: Float64, low: Float64, high: Float64) -> NDArray[np.bool_] | None:
    """Rows whose value lies outside its metric's physical range, or is not finite; None where there are none."""
    fine = (values >= low) & (values <= high)  # false for NaN too
    return None if fine.all() else ~fine


def explain_time(columns: Columns, row: int, window: Window) -> Rejection:
    """Why this row's time was refused."""
    time = int(columns.times[row])
    if time > window.newest:
        detail = f"{iso(time)} lies after {iso(window.newest)}, the latest time accepted now; check the device's clock"
        return refuse_row(columns, row, "time", "too_far_in_future", detail)
    detail = f"{iso(time)} lies before {iso(window.oldest)}, the oldest time accepted"
    detail += "; a key with the backfill right may send it"
    return refuse_row(columns, row, "time", "too_old", detail)


def explain_value(columns: Columns, row: int, metric: str, low: float, high: float) -> Rejection:
    """Why this row's value was refused."""
    value = float(columns.values[row])
    if not np.isfinite(value):
        return refuse_row(columns, row, f"metrics.{metric}", "not_finite", "the value is not a finite number")
    if abs(value) > 1e100:
        return refuse_row(columns, row, f"metrics.{metric}", "invalid_value", "a value's magnitude is 1e100 at most")
    detail = f"{value:g} lies outside the physical range of {metric}, {low:g} to {high:g}"
    return refuse_row(columns, row, f"metrics.{metric}", "out_of_range", detail)
