"""Store a drain's readings, each exactly once: the first value of a (series, time) wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.intake.batch import Batch, Int64
from telemetry.store.frontier import Frontier
from telemetry.store.loaders import Loader
from telemetry.store.stored import values_at


@dataclass(slots=True)
class Stored:
    """What became of a batch. Masks are over the batch's rows, in its order."""

    #: The rows that were written, sorted by (series, time): what the frontier advances by after COMMIT.
    written: Batch
    duplicate: NDArray[np.bool_]
    #: Those duplicates whose value differs from the stored one.
    conflict: NDArray[np.bool_]
    #: Rows at or before their series' frontier: late or repeated.
    late: NDArray[np.bool_]


def write(connection: psycopg.Connection[Any], batch: Batch, frontier: Frontier, loader: Loader) -> Stored:
    """Write what is new of a batch, inside the caller's transaction. The ranges that the times need must exist."""
    order, ordered = _sorted(batch)
    duplicate, conflict = _repeats_within(ordered)
    late = ordered.times <= frontier.of(connection, ordered.series)
    if late.any():
        _find_stored(connection, ordered, np.flatnonzero(late & ~duplicate), duplicate, conflict)
    new = np.flatnonzero(~duplicate)
    written = ordered.at(new)
    fresh = loader.put(connection, written)
    if not fresh.all():
        # The safety net caught something that the frontier did not know: those rows were there already.
        missed = new[~fresh]
        duplicate[missed] = True
        _find_conflicts(connection, ordered, missed, conflict)
        written = written.at(fresh)
    return Stored(written, _unsorted(duplicate, order), _unsorted(conflict, order), _unsorted(late, order))


def _sorted(batch: Batch) -> tuple[Int64, Batch]:
    """By (series, time), equals in order of arrival: good for the index, and brings repeats together."""
    order = np.lexsort((batch.times, batch.series))
    return order, batch.at(order)


def _repeats_within(ordered: Batch) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that repeat an earlier one of the same batch, and those whose value differs from the first."""
    duplicate = np.zeros(len(ordered), np.bool_)
    conflict = np.zeros(len(ordered), np.bool_)
    if len(ordered) > 1:
        duplicate[1:] = (ordered.times[1:] == ordered.times[:-1]) & (ordered.series[1:] == ordered.series[:-1])
        if duplicate.any():
            first = np.maximum.accumulate(np.where(duplicate, 0, np.arange(len(ordered))))
            conflict = duplicate & (ordered.values != ordered.values[first])
    return duplicate, conflict


def _find_stored(
    connection: psycopg.Connection[Any],
    ordered: Batch,
    rows: NDArray[np.intp],
    duplicate: NDArray[np.bool_],
    conflict: NDArray[np.bool_],
) -> None:
    """Mark which of these rows are in the table already. Repeats within the batch follow their first row: a conflict
    with the stored value counts for each of them."""
    stored = _look_up(connection, ordered, rows)
    for row, value in stored.items():
        duplicate[row] = True
        conflict[row] = value != ordered.values[row]
        following = row + 1
        while following < len(ordered) and _same(ordered, row, following):
            conflict[following] = value != ordered.values[following]
            following += 1


def _find_conflicts(
    connection: psycopg.Connection[Any], ordered: Batch, rows: NDArray[np.intp], conflict: NDArray[np.bool_]
) -> None:
    for row, value in _look_up(connection, ordered, rows).items():
        conflict[row] = value != ordered.values[row]


def _look_up(connection: psycopg.Connection[Any], ordered: Batch, rows: NDArray[np.intp]) -> dict[int, float]:
    """The stored values of those of these rows whose (series, time) is in the table."""
    found = values_at(connection, ordered.series[rows], ordered.times[rows])
    return {int(rows[place]): value for place, value in found.items()}


def _same(batch: Batch, left: int, right: int) -> bool:
    return bool(batch.series[left] == batch.series[right] and batch.times[left] == batch.times[right])


def _unsorted(mask: NDArray[np.bool_], order: Int64) -> NDArray[np.bool_]:
    back = np.empty_like(mask)
    back[order] = mask
    return back
