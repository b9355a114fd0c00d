"""Whether an answer can be kept, and until when it is true: what of the readings in a range has changed since.

Readings are only ever added, and whatever is added is marked in the same transaction. While something in a range is marked,
no answer about it is kept or taken from the cache. When marks go, the days that they were about get a new stamp
(`telemetry_rollupchange`, written by a trigger in the same transaction). So an answer that was made while nothing was
marked is true for as long as nothing is, and the stamp is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from telemetry.binary_arrays import int4_array
from telemetry.query.question import Question
from telemetry.query.snapshot import Cursor
from telemetry.rollups.members import NAMES_ONE_OF
from telemetry.timeseries.engine import EARLIEST, as_microseconds, as_timestamp

__all__ = ["Freshness", "freshness_of"]

_STATE = f"""
SELECT s.rolled_upto,
    (SELECT max(stamp) FROM telemetry_rollupchange WHERE day >= %s AND day <= %s),
    EXISTS (
        SELECT 1 FROM telemetry_rollupmark m
        WHERE m.low < least(%s, s.rolled_upto) AND m.high > %s AND m.first_series <= %s AND m.last_series >= %s
          AND {NAMES_ONE_OF}
    )
FROM telemetry_rollupstate s WHERE s.id = 1
"""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far rollups can be believed for one question."""

    #: Event time (µs) from which on only the readings are right.
    upto: int
    #: Whether anything in the question's range is marked, as far as rollups are believed there.
    marked: bool
    #: A number that changes with every reading that is added in the range; None while the range is not over, or readings of
    #: it wait to be rolled up.
    stamp: int | None


def freshness_of(cursor: Cursor, question: Question) -> Freshness:
    """In the snapshot of the cursor."""
    series = np.unique(np.array([each for line in question.lines for each in line.series], np.int32))
    if not len(series):
        return Freshness(0, marked=False, stamp=None)
    # The first step of an increase begins before the range, nobody knows how far.
    early = {"increase", "rate"}.intersection(question.functions)
    start, end = as_timestamp(EARLIEST if early else question.start), as_timestamp(question.end)
    days: tuple[date, date] = (start.date(), end.date())
    cursor.execute(_STATE, [*days, end, start, int(series[-1]), int(series[0]), *[int4_array(series)] * 2])
    row = cursor.fetchone()
    if row is None:
        return Freshness(0, marked=True, stamp=None)
    upto, marked = as_microseconds(row[0]), bool(row[2])
    over = question.end <= upto and not marked
    return Freshness(upto, marked, int(row[1] or 0) if over else None)
