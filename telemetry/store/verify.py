"""Looks whether what must never be is in the stored readings: a (series, time) twice, a series that nobody knows, a value
that is no number. Read a stretch of event time at a time, so that it can be shown, broken off, and needs no memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import psycopg

from telemetry.intake.times import HIGHEST
from telemetry.timeseries.engine import EARLIEST, TABLE, as_timestamp, engine_in_use

__all__ = ["Twice", "Verified", "verify", "verify_all"]

#: As many pairs that stand twice are named; all are counted.
MOST_NAMED = 20
_HOUR = 3_600_000_000
#: A stretch is so long that it takes about this, in seconds.
_AIM, _LONGEST = 1.0, 30 * 24 * _HOUR

_COUNT = f"""
WITH pairs AS (
    SELECT series_id, time, count(*) AS n, min(value) AS low, max(value) AS high,
        bool_or(NOT abs(value) <= 1e100) AS strange
    FROM {TABLE} WHERE time >= %s AND time < %s GROUP BY series_id, time
)
SELECT coalesce(sum(n), 0)::bigint, coalesce(sum(n - 1), 0)::bigint, count(*) FILTER (WHERE strange),
    (SELECT coalesce(array_agg(s), '{{}}') FROM (SELECT DISTINCT series_id AS s FROM pairs) used
     WHERE NOT EXISTS (SELECT FROM telemetry_series WHERE id = s)
       AND NOT EXISTS (SELECT FROM telemetry_purgedseries WHERE series_id = s))
FROM pairs
"""
_NAME = f"""
SELECT r.series_id, coalesce(d.name, '?'), coalesce(s.metric, '?'), r.time, array_agg(r.value ORDER BY r.value)
FROM {TABLE} r LEFT JOIN telemetry_series s ON s.id = r.series_id LEFT JOIN telemetry_device d ON d.id = s.device_id
WHERE r.time >= %s AND r.time < %s GROUP BY 1, 2, 3, 4 HAVING count(*) > 1 ORDER BY 4, 1 LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Twice:
    """A (series, time) that is stored more than once."""

    series: int
    device: str
    metric: str
    time: Any
    values: list[float]


@dataclass(slots=True)
class Verified:
    """What was found so far. ``upto``: event times before it were read, µs since 1970."""

    upto: int
    readings: int = 0
    #: Rows that should not be there, because another row has their series and time.
    repeated: int = 0
    strange: int = 0
    unknown: set[int] = field(default_factory=set)
    named: list[Twice] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not (self.repeated or self.strange or self.unknown)

    def faults(self) -> list[str]:
        """What is wrong, a line each; nothing where it is sound."""
        lines = []
        for twice in self.named:
            values = ", ".join(f"{value:g}" for value in twice.values)
            moment = twice.time.astimezone(UTC).isoformat().replace("+00:00", "Z")
            lines.append(f"twice: {twice.device} · {twice.metric} · {moment}: {values}")
        if len(self.named) == MOST_NAMED:
            lines.append("…")
        if self.unknown:
            some = ", ".join(map(str, sorted(self.unknown)[:MOST_NAMED]))
            lines.append(f"readings of series that are not registered: {some}")
        if self.strange:
            lines.append(f"{self.strange:,} values are no numbers of at most 1e100")
        return lines


def verify_all(connection: psycopg.Connection[Any]) -> Verified:
    """Read all there is."""
    return [Verified(EARLIEST), *verify(connection, EARLIEST, HIGHEST)][-1]


def verify(connection: psycopg.Connection[Any], start: int, end: int) -> Iterator[Verified]:
    """Read all with event times in [start, end) µs; what was found so far, after each stretch.

    One statement reads a stretch, so it may be stored into meanwhile.
    """
    with connection.cursor() as cursor:
        ranges = engine_in_use(cursor).ranges(cursor)
    found, width = Verified(start), _HOUR
    for part in ranges:
        at, last = max(part.start, start), min(part.end, end)
        while at < last:
            upto = min(at + width, last)
            began = time.monotonic()
            _stretch(connection, at, upto, found)
            took = time.monotonic() - began
            width = max(1_000_000, min(_LONGEST, int(width * max(0.25, min(4.0, _AIM / max(took, 0.001))))))
            at = found.upto = upto
            yield found


def _stretch(connection: psycopg.Connection[Any], start: int, end: int, found: Verified) -> None:
    bounds = [as_timestamp(start), as_timestamp(end)]
    row = connection.execute(_COUNT, bounds).fetchone()
    assert row is not None
    readings, repeated, strange, unknown = row
    found.readings += readings
    found.repeated += repeated
    found.strange += strange
    found.unknown.update(unknown)
    if repeated and len(found.named) < MOST_NAMED:
        rows = connection.execute(_NAME, [*bounds, MOST_NAMED - len(found.named)]).fetchall()
        found.named += [Twice(*each) for each in rows]
