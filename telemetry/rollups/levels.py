"""The widths of buckets that are kept, and the tables they are kept in.

Each row is one bucket of one series, [time, time + width) in UTC, made from its readings:

    series_id integer, time timestamptz    the bucket's start; unique together
    count bigint                           readings in it, never 0: an empty bucket has no row
    mean, m2 double precision              average, and the sum of squared distances from it
    min, max, first, last                  double precision; first and last by event time
    increase double precision              sum of the steps between its own readings, a fall counting as a new start from 0
    p50, p95, p99 double precision         only in hours and days; linear interpolation between readings, as numpy's default

Booleans are 1.0 and 0.0, as in the readings.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DAY", "HOUR", "LEVELS", "MINUTE", "Level", "by_name"]


@dataclass(frozen=True, slots=True)
class Level:
    """One width of buckets."""

    #: "minute", "hour" or "day": what `source` says in answers.
    name: str
    #: µs.
    width: int
    #: Whether its rows have p50, p95 and p99.
    percentiles: bool

    @property
    def table(self) -> str:
        return f"telemetry_rollup_{self.name}"

    def floor(self, time: int) -> int:
        """The start of the bucket that a time (µs since 1970) falls into."""
        return time - time % self.width

    def ceiling(self, time: int) -> int:
        """The first start of a bucket at or after a time (µs since 1970)."""
        return time + -time % self.width


MINUTE = Level("minute", 60_000_000, percentiles=False)
HOUR = Level("hour", 3_600_000_000, percentiles=True)
DAY = Level("day", 86_400_000_000, percentiles=True)
#: Finest first.
LEVELS = (MINUTE, HOUR, DAY)


def by_name(name: str) -> Level:
    """The level of that name. Raises KeyError."""
    return {level.name: level for level in LEVELS}[name]
