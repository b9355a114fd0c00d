"""Buckets: how wide they are, and where they begin and end in any time zone. Pure.

Widths of seconds, minutes and hours are fixed and counted from 1970-01-01T00:00Z, in every zone: `6h` begins at 00, 06, 12
and 18 o'clock UTC. Days, weeks (from Monday), months, quarters and years are those of a calendar, in the zone asked for:
a day lasts 23 or 25 hours where clocks are changed. Several calendar units together are counted from 1970 (days), from
Monday 1970-01-05 (weeks), and from January of the year 0 (months), so that they are the same for every question.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from telemetry.timeseries.engine import as_microseconds, as_timestamp

__all__ = ["LADDER", "Bucket", "InvalidBucket", "bucket_for", "edges", "parse_bucket", "zone_named"]

_PATTERN = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d|w|mo|q|y)")
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_FIXED = {"s": _SECOND, "m": 60 * _SECOND, "h": 3_600 * _SECOND}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_THURSDAY_1970 = date(1970, 1, 1).toordinal()
_MONDAY_1970 = date(1970, 1, 5).toordinal()
#: What every zone can tell of; buckets of thousands of years are cut there.
_FIRST, _LAST = date(2, 1, 1), date(9998, 1, 1)
#: Mean length of a month of the Gregorian calendar.
_MONTH = int(365.2425 / 12 * _DAY)


class InvalidBucket(ValueError):
    """The message says what a width looks like."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A width: `number` times a unit (s, m, h: fixed; d, w, mo, q, y: of the calendar)."""

    number: int
    unit: str

    def __str__(self) -> str:
        return f"{self.number}{self.unit}"

    @property
    def fixed(self) -> int | None:
        """µs, or None where the calendar decides."""
        return self.number * _FIXED[self.unit] if self.unit in _FIXED else None

    @property
    def about(self) -> int:
        """µs, the mean where the calendar decides."""
        if self.unit in _DAYS:
            return self.number * _DAYS[self.unit] * _DAY
        return self.fixed or self.number * _MONTHS[self.unit] * _MONTH


#: Widths that people think in, narrowest first.
LADDER = tuple(
    Bucket(number, unit)
    for unit, numbers in (
        ("s", (1, 2, 5, 10, 15, 30)),
        ("m", (1, 2, 5, 10, 15, 30)),
        ("h", (1, 2, 3, 4, 6, 12)),
        ("d", (1,)),
        ("w", (1,)),
        ("mo", (1,)),
        ("q", (1,)),
        ("y", (1,)),
    )
    for number in numbers
)


def parse_bucket(text: str) -> Bucket:
    """Such as 90s, 5m, 1h, 36h, 1d, 1w, 1mo, 1q or 1y. Raises InvalidBucket."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InvalidBucket("Say a number and a unit: 90s, 5m, 1h, 36h, 1d, 1w (from Monday), 1mo, 1q or 1y.")
    return Bucket(int(match[1]), match[2])


def bucket_for(start: int, end: int, points: int) -> Bucket:
    """The narrowest bucket of LADDER that cuts [start, end) µs into at most so many, else the widest."""
    for bucket in LADDER:
        # Neither end need lie on an edge, so there may be one more than the length says.
        if (end - start) // bucket.about + 2 <= points:
            return bucket
    return LADDER[-1]


def zone_named(name: str) -> ZoneInfo:
    """An IANA zone. Raises ValueError for what is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"there is no time zone {name!r}") from error


def edges(bucket: Bucket, start: int, end: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """Ascending edges (µs since 1970) of the buckets that [start, end) touches: N buckets have N + 1.

    The first is at or before `start`, the last at or after `end`; needs start < end.
    """
    width = bucket.fixed
    if width is not None:
        return np.arange(start // width, -(-end // width) + 1, dtype=np.int64) * width
    found: list[int] = []
    number = _number_of(bucket, as_timestamp(start).astimezone(zone).date())
    while not found or found[-1] < end:
        found.append(_midnight(_first_day(bucket, number), zone))
        number += 1
    # A zone that crossed the date line has left out a day: it begins where the next one does.
    return np.unique(np.array(found, np.int64))


def _number_of(bucket: Bucket, day: date) -> int:
    """Which bucket a local day lies in, counted from the origin of its unit."""
    if bucket.unit in _MONTHS:
        return (day.year * 12 + day.month - 1) // (bucket.number * _MONTHS[bucket.unit])
    return (day.toordinal() - _origin(bucket)) // (bucket.number * _DAYS[bucket.unit])


def _first_day(bucket: Bucket, number: int) -> date:
    if bucket.unit in _MONTHS:
        year, month = divmod(number * bucket.number * _MONTHS[bucket.unit], 12)
        return date(year, month + 1, 1) if _FIRST.year <= year <= _LAST.year else _FIRST if year < 1970 else _LAST
    day = _origin(bucket) + number * bucket.number * _DAYS[bucket.unit]
    return date.fromordinal(min(max(day, _FIRST.toordinal()), _LAST.toordinal()))


def _origin(bucket: Bucket) -> int:
    return _MONDAY_1970 if bucket.unit == "w" else _THURSDAY_1970


def _midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of a local day.

    Where clocks skip midnight, the offset before the change (fold=0) names the instant of the change; where midnight
    comes twice, it names the first.
    """
    return as_microseconds(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))
