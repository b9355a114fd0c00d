"""Times as senders write them, to µs since 1970 UTC. A vectorised path for the usual form, a careful one for the rest.

Accepted: ISO 8601 with an offset (RFC 3339 and what ``datetime.fromisoformat`` takes), and epoch numbers whose unit is
told by their magnitude: seconds below 1e11 (year 5138), milliseconds below 1e14, microseconds below 1e17, else nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from telemetry.intake.batch import NO_TIME, Int64

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
#: Years 1 to 9999: what a datetime can say.
LOWEST = -62_135_596_800 * _SECOND
HIGHEST = 253_402_300_800 * _SECOND - 1

_EXAMPLE = 'send ISO 8601 with an offset ("2026-11-21T10:00:00Z") or an epoch number'


class InvalidTime(ValueError):
    """The message says what is wrong with the time and what a right one looks like."""


def parse_time(raw: Any) -> int:
    """One time in any accepted form as µs since 1970. Raises InvalidTime."""
    if isinstance(raw, str):
        return _parse_text(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise InvalidTime(f"a time is a text or a number; {_EXAMPLE}")
    return _parse_number(raw)


def parse_times(raw: Sequence[Any]) -> tuple[Int64, dict[int, str]]:
    """Many times as µs since 1970, and the faults by place. Left-out times (None) become NO_TIME, faulty ones as well."""
    fast = _parse_uniform_texts(raw)
    if fast is not None:
        return fast, {}
    times = np.full(len(raw), NO_TIME, np.int64)
    faults: dict[int, str] = {}
    for place, value in enumerate(raw):
        if value is not None:
            try:
                times[place] = parse_time(value)
            except InvalidTime as error:
                faults[place] = str(error)
    return times, faults


def iso(time: int) -> str:
    """µs since 1970 as ISO 8601 in UTC with Z; a fraction only where there is one."""
    text = (EPOCH + timedelta(microseconds=time)).isoformat()
    return text.replace("+00:00", "Z")


def _parse_text(raw: str) -> int:
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        raise InvalidTime(f"{raw[:60]!r} is not a time; {_EXAMPLE}") from None
    if moment.tzinfo is None:
        raise InvalidTime(f"{raw[:60]!r} has no offset, so it could be any of 38 moments; append Z for UTC")
    try:
        delta = moment.astimezone(UTC) - EPOCH
    except OverflowError:
        raise InvalidTime(f"{raw[:60]!r} lies outside the years 1 to 9999") from None
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds


def _parse_number(raw: int | float) -> int:
    size = abs(raw)
    if not size < 1e20:  # NaN compares false as well
        raise InvalidTime(f"the number is too large to be an epoch time; {_EXAMPLE}")
    if isinstance(raw, int):
        if size < 100_000_000_000:
            time = raw * _SECOND
        elif size < 100_000_000_000_000:
            time = raw * 1000
        elif size < 100_000_000_000_000_000:
            time = raw
        else:
            time = raw // 1000
    else:
        unit = 1e6 if size < 1e11 else 1e3 if size < 1e14 else 1.0 if size < 1e17 else 1e-3
        time = round(raw * unit)
    if not LOWEST <= time <= HIGHEST:
        raise InvalidTime(f"the number lies outside the years 1 to 9999; {_EXAMPLE}")
    return time


def _parse_uniform_texts(raw: Sequence[Any]) -> Int64 | None:
    """The usual case at C speed: texts of one length like 2026-11-21T10:00:00[.fraction]Z. None where it is not that."""
    count = len(raw)
    if count < 8 or type(raw[0]) is not str:
        return None
    length = len(raw[0])
    if length not in (20, 22, 23, 24, 27):
        return None
    try:
        text = "".join(raw)
    except TypeError:
        return None
    # Lengths are compared one by one: texts of other lengths could read as right ones where they join.
    if set(map(len, raw)) != {length} or not text.isascii():
        return None
    digits = np.frombuffer(text.encode("ascii"), np.uint8).reshape(count, length).T
    first = digits[:, 0]
    separators = [4, 7, 10, 13, 16, length - 1] + ([19] if length > 20 else [])
    # Every text must have the separators of the first, and the first must have the right ones.
    if (
        bytes(first[separators]) not in (b"--T::Z", b"--T::Z.")
        or not (digits[separators] == first[separators, None]).all()
    ):
        return None
    numbers = np.delete(digits, separators, axis=0) - np.uint8(48)
    if (numbers > 9).any():
        return None
    return _civil_to_microseconds(numbers)


def _civil_to_microseconds(digits: NDArray[np.uint8]) -> Int64 | None:
    """Rows YYYYMMDDhhmmss[f…] of digits to µs since 1970; None where any is no real date or time."""
    parts = digits.astype(np.int64)
    year = parts[0] * 1000 + parts[1] * 100 + parts[2] * 10 + parts[3]
    month = parts[4] * 10 + parts[5]
    day = parts[6] * 10 + parts[7]
    hour = parts[8] * 10 + parts[9]
    minute = parts[10] * 10 + parts[11]
    second = parts[12] * 10 + parts[13]
    in_range = (
        (year >= 1)
        & (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (day <= 28)
        & (hour < 24)
        & (minute < 60)
        & (second < 60)
    )
    if not in_range.all():
        # The last days of a month and leap seconds are rare enough for the careful path to decide, but days 29 to 31
        # come every month: check them against the month's length.
        longest = _MONTH_LENGTHS[np.clip(month, 1, 12)] + ((month == 2) & _is_leap(year))
        in_range |= (
            (day >= 29) & (day <= longest) & (month >= 1) & (month <= 12) & (hour < 24) & (minute < 60) & (second < 60)
        )
        if not in_range.all() or not (year >= 1).all():
            return None
    # Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    shifted = year - (month <= 2)
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    time = days * _DAY + ((hour * 60 + minute) * 60 + second) * _SECOND
    scale = 100_000
    for row in parts[14:]:
        time += row * scale
        scale //= 10
    return np.asarray(time, np.int64)


_MONTH_LENGTHS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _is_leap(year: Int64) -> NDArray[np.bool_]:
    return np.asarray((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)), np.bool_)
