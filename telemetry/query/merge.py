"""From rows to buckets: pure arithmetic over columns.

A row is a bucket of some level, or a single reading. Means are merged by weight and squared distances are taken from the
merged mean, which is Chan's formula (Chan, Golub, LeVeque, 1983) for many parts at once: sums of squares would cancel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telemetry.query.question import PERCENTILES
from telemetry.rollups.buckets import QUANTILES, quantiles_within

__all__ = ["Grid", "columns_needed", "from_rows", "from_sums"]

Float64 = NDArray[np.float64]
#: Columns of a row that a function is made of, beside count.
_NEEDS = {
    "avg": ("mean",),
    "sum": ("mean",),
    "min": ("min",),
    "max": ("max",),
    "count": (),
    "stddev": ("mean", "m2"),
    "first": ("first",),
    "last": ("last",),
    "increase": ("first", "last", "increase"),
    "rate": ("first", "last", "increase"),
    **{name: ("mean", name) for name in PERCENTILES},
}


_COLUMNS = ("mean", "m2", "min", "max", "first", "last", "increase", *PERCENTILES)


@dataclass(frozen=True, slots=True)
class Grid:
    """Lines × buckets, and which line each place of a series belongs to."""

    lines: int
    #: N + 1, µs since 1970, cut at the question's start and end.
    edges: NDArray[np.int64]
    line_of: NDArray[np.int32]

    @property
    def buckets(self) -> int:
        return len(self.edges) - 1

    @property
    def size(self) -> int:
        return self.lines * self.buckets


def columns_needed(functions: Collection[str]) -> list[str]:
    """The columns of rows from which these functions are computed; those of ready percentiles among them."""
    wanted = {name for function in functions for name in _NEEDS[function]}
    return ["count", *(name for name in _COLUMNS if name in wanted)]


def from_sums(rows: NDArray, grid: Grid, functions: Collection[str]) -> tuple[NDArray[np.int64], dict[str, Float64]]:
    """(count, columns) by line and bucket, from what the server added up (`fetch.added_up`, tag = line)."""
    cells = rows["tag"].astype(np.int64) * grid.buckets + rows["bucket"]
    known: dict[str, Float64] = {
        name: rows[name] for name in ("count", "mean", "min", "max") if name in (rows.dtype.names or ())
    }
    return _shaped(grid, *_totals(cells, known, grid.size, functions))


def from_rows(
    found: NDArray, grid: Grid, functions: Collection[str], before: Mapping[int, float]
) -> tuple[NDArray[np.int64], dict[str, Float64]]:
    """(count, columns) by line and bucket, from rows of levels and readings (`fetch.rows_of`, tag = place of a series).

    `before`: the value before the first bucket, by place. Rows with numbers in p50, p95, p99 answer for percentiles as they
    are; the others are single readings, and percentiles are computed from them (as numpy's "linear").
    """
    tag, time = found["tag"], found["time"]
    ready = {name: found[name] for name in PERCENTILES if name in functions}
    rows = {name: found[name] for name in found.dtype.names or () if name not in ("tag", "time", *PERCENTILES)}
    order = np.lexsort((time, tag))
    tag, time = tag[order], time[order]
    rows, ready = ({name: column[order] for name, column in each.items()} for each in (rows, ready))
    bucket = np.searchsorted(grid.edges, time, "right") - 1
    cells = grid.line_of[tag].astype(np.int64) * grid.buckets + bucket

    count, columns = _totals(cells, rows, grid.size, functions)
    if "first" in functions or "last" in functions:
        columns |= _ends(cells, time, tag, rows, grid.size)
    if "increase" in functions or "rate" in functions:
        increase = _added(cells, rows["increase"] + _steps(tag, rows, before), grid.size)
        increase[count == 0] = np.nan
        columns["increase"] = increase
        columns["rate"] = increase / np.tile(np.diff(grid.edges) / 1e6, grid.lines)
    if ready:
        columns |= _percentiles(cells, rows["mean"], ready, grid.size)
    return _shaped(grid, count, {name: columns[name] for name in functions if name in columns})


def _totals(
    cells: NDArray[np.int64], rows: dict[str, Float64], size: int, functions: Collection[str]
) -> tuple[Float64, dict]:
    weight = rows["count"].astype(np.float64)
    count = _added(cells, weight, size)
    columns: dict[str, Float64] = {}
    empty = count == 0
    for name, smallest in (("min", np.inf), ("max", -np.inf)):
        if name in rows:
            found = np.full(size, smallest)
            (np.minimum if name == "min" else np.maximum).at(found, cells, rows[name])
            found[empty] = np.nan
            columns[name] = found
    if "mean" in rows:
        total = _added(cells, weight * rows["mean"], size)
        mean = np.divide(total, count, out=np.full(size, np.nan), where=~empty)
        if "min" in columns and "max" in columns:
            # Rounding may put the mean of equal readings a hair beside them.
            mean = np.clip(mean, columns["min"], columns["max"])
        columns["avg"] = mean
        columns["sum"] = np.where(empty, np.nan, total)
        if "m2" in rows:
            squares = _added(cells, rows["m2"] + weight * np.square(rows["mean"] - mean[cells]), size)
            columns["stddev"] = np.sqrt(np.divide(squares, count, out=np.full(size, np.nan), where=~empty))
    return count, {name: column for name, column in columns.items() if name in functions}


def _ends(cells: NDArray[np.int64], time: NDArray[np.int64], tag: NDArray[np.int32], rows: dict, size: int) -> dict:
    """The earliest and the latest value of each cell; of several series at one moment, that with the lowest place."""
    order = np.lexsort((tag, time, cells))
    sorted_cells = cells[order]
    found = {}
    if "first" in rows:
        begins = order[np.append(True, sorted_cells[1:] != sorted_cells[:-1])[: len(order)]]
        found["first"] = np.full(size, np.nan)
        found["first"][cells[begins]] = rows["first"][begins]
    if "last" in rows:
        order = np.lexsort((-tag, time, cells))
        sorted_cells = cells[order]
        ends = order[np.append(sorted_cells[1:] != sorted_cells[:-1], True)[: len(order)]]
        found["last"] = np.full(size, np.nan)
        found["last"][cells[ends]] = rows["last"][ends]
    return found


def _steps(tag: NDArray[np.int32], rows: dict[str, Float64], before: Mapping[int, float]) -> Float64:
    """The step from the reading before each row to its first one; rows are sorted by (tag, time).

    A counter that falls has started again from 0, so that the step is its new value.
    """
    previous = np.full(len(tag), np.nan)
    previous[1:] = np.where(tag[1:] == tag[:-1], rows["last"][:-1], np.nan)
    for place in np.flatnonzero(np.append(True, tag[1:] != tag[:-1])[: len(tag)]):
        previous[place] = before.get(int(tag[place]), np.nan)
    first = rows["first"]
    step = np.where(first >= previous, first - previous, first)
    return np.where(np.isnan(previous), 0.0, step)


def _percentiles(cells: NDArray[np.int64], values: Float64, ready: dict[str, Float64], size: int) -> dict[str, Float64]:
    found = {name: np.full(size, np.nan) for name in ready}
    known = ~np.isnan(next(iter(ready.values())))
    for name, column in ready.items():
        found[name][cells[known]] = column[known]
    order = np.argsort(cells[~known], kind="stable")
    readings, own = values[~known][order], cells[~known][order]
    if len(own):
        first = np.flatnonzero(np.append(True, own[1:] != own[:-1]))
        quantiles = quantiles_within(readings, first, np.diff(np.append(first, len(own))))
        for name in ready:
            found[name][own[first]] = quantiles[QUANTILES.index(PERCENTILES[name])]
    return found


def _shaped(grid: Grid, count: Float64, columns: dict[str, Float64]) -> tuple[NDArray[np.int64], dict[str, Float64]]:
    shape = (grid.lines, grid.buckets)
    return count.astype(np.int64).reshape(shape), {name: column.reshape(shape) for name, column in columns.items()}


def _added(cells: NDArray[np.int64], weights: Float64, size: int) -> Float64:
    """The sum by cell."""
    return np.bincount(cells, weights, size).astype(np.float64, copy=False)  # of nothing it counts in integers
