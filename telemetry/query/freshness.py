"""Whether an answer can be kept, and until when it is true: what of the readings in a range has changed since.

Readings are only ever added, and whatever is added is marked in the same transaction. While something in a range is marked,
no answer about it is kept or taken from the cache. When marks go, the days that they were about get a new stamp
(`telemetry_rollupchange`, written by a trigger in the same transaction). So an answer that was made while nothing was
marked is true for as long as nothing is, and the stamp is the same.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from telemetry.binary_arrays import int4_array
from telemetry.query.question import Question
from telemetry.query.snapshot import Cursor
from telemetry.timeseries.engine import EARLIEST, as_timestamp

__all__ = ["stamp_of"]

_STAMP = """
SELECT s.rolled_upto >= %s,
    (SELECT max(stamp) FROM telemetry_rollupchange WHERE day >= %s AND day <= %s),
    EXISTS (
        SELECT 1 FROM telemetry_rollupmark m
        WHERE m.low < %s AND m.high > %s AND m.first_series <= %s AND m.last_series >= %s
          AND EXISTS (SELECT 1 FROM unnest(m.series) AS named (id) WHERE named.id = ANY(%b))
    )
FROM telemetry_rollupstate s WHERE s.id = 1
"""


def stamp_of(cursor: Cursor, question: Question) -> int | None:
    """A number that changes with every reading that is added in the question's range; None where the range is not over, or
    readings of it are not rolled up yet."""
    series = np.unique(np.array([each for line in question.lines for each in line.series], np.int32))
    if not len(series):
        return None
    # The first step of an increase begins before the range, nobody knows how far.
    early = {"increase", "rate"}.intersection(question.functions)
    start, end = as_timestamp(EARLIEST if early else question.start), as_timestamp(question.end)
    days: tuple[date, date] = (start.date(), end.date())
    cursor.execute(_STAMP, [end, *days, end, start, int(series[-1]), int(series[0]), int4_array(series)])
    row = cursor.fetchone()
    if row is None or not row[0] or row[2]:
        return None
    return int(row[1] or 0)
