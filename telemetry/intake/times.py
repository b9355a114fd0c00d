"""Times as senders write them, to µs since 1970 UTC. A vectorised path for the usual form, a careful one for the rest.

Accepted: ISO 8601 with an offset (RFC 3339 and what ``datetime.fromisoformat`` takes), and epoch numbers whose unit is
told by their magnitude: seconds below 1e11 (year 5138), milliseconds below 1e14, microseconds below 1e17, else nanoseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
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
    if length not in _FORMS:
        return None
    try:
        text = "".join(raw)
    except TypeError:
        return None
    # Lengths are compared one by one: texts of other lengths could read as right ones where they join.
    if set(map(len, raw)) != {length} or not text.isascii():
        return None
    return parse_rows(np.frombuffer(text.encode("ascii"), np.uint8).reshape(count, length))


def parse_rows(characters: NDArray[np.uint8]) -> Int64 | None:
    """Texts of one length like 2026-11-21T10:00:00[.fraction]Z, a row each, as µs since 1970. None where any is not that."""
    form = _FORMS.get(characters.shape[1])
    if form is None:
        return None
    digits = characters - form.least
    if (digits > form.range).any():
        return None
    # Each part has at most eight digits, which float64 adds up exactly, and ten times as fast as int64 would.
    date, hour, minute, second, fraction = form.weights @ digits.T
    if hour.max() > 23 or minute.max() > 59 or second.max() > 59:  # leap seconds are for the careful path to decide
        return None
    days = _days(date)
    if days is None:
        return None
    of_day = ((hour * 60 + minute) * 60 + second) * _SECOND + fraction
    times: Int64 = days * _DAY + of_day.astype(np.int64)
    return times


def _days(dates: NDArray[np.float64]) -> Int64 | None:
    """Dates (YYYYMMDD as numbers), of which most are the same, as days since 1970. None where one does not exist."""
    different, places = np.unique(dates, return_inverse=True) if dates.min() != dates.max() else (dates[:1], 0)
    try:
        days = [date(day // 10_000, day // 100 % 100, day % 100).toordinal() for day in different.astype(int).tolist()]
    except ValueError:
        return None
    return np.array(days)[places] - EPOCH.toordinal()


class _Form:
    """Times with so many decimals: of each character its least and how far it may lie above that, and of each digit what it
    counts for date (YYYYMMDD), hour, minute, second and µs."""

    def __init__(self, decimals: int) -> None:
        form = "0000-00-00T00:00:00" + ("." + decimals * "0" if decimals else "") + "Z"
        self.length = len(form)
        self.least = np.frombuffer(form.encode(), np.uint8)
        self.range = np.where(self.least == 0x30, 9, 0).astype(np.uint8)
        self.weights = np.zeros((5, self.length))
        places = [place for place, character in enumerate(form) if character == "0"]
        parts = (places[:8], places[8:10], places[10:12], places[12:14], places[14:])
        for weights, part in zip(self.weights, parts, strict=True):
            weights[part] = 10.0 ** np.arange(len(part) - 1, -1, -1)
        self.weights[4] *= 10.0 ** (6 - decimals)


_FORMS = {form.length: form for form in map(_Form, (0, 1, 2, 3, 6))}
