"""The texts of a table's cells as times (µs since 1970, UTC) and values.

Strict: what could mean two things is refused.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone, tzinfo

from telemetry.intake.times import HIGHEST, LOWEST, InvalidTime, parse_time

__all__ = ["InvalidCell", "Times", "Values", "is_data", "is_time"]

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_COMPACT_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
#: Naive on purpose: local times are counted from it.
_ORIGIN = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_BOOLEANS = {"true": True, "false": False}


class InvalidCell(ValueError):
    """`code` is the contract's reason, the message says what is wrong."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Times:
    """Reads times; those without an offset are local to `zone`.

    A local time that comes twice (clocks set back) means whichever of the two goes on better at the pace of the rows
    before it; in the first row it is the first of them. One that never was (clocks set forward) is refused.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._before: int | None = None
        self._steps = (0, 0)  # from row to row, the last two that were not nothing

    def parse(self, text: str) -> int:
        """µs since 1970 UTC. Raises InvalidCell."""
        time = self._parsed(text.strip())
        if self._before is not None and time != self._before:
            self._steps = (self._steps[1] or time - self._before, time - self._before)
        self._before = time
        return time

    def _parsed(self, text: str) -> int:
        try:
            if _NUMBER.fullmatch(text):
                if _COMPACT_DATE.fullmatch(text):
                    raise InvalidTime(f"{text} could be a date or an epoch number; write the date as YYYY-MM-DD")
                return parse_time(float(text) if "." in text else int(text))
            moment = datetime.fromisoformat(text)
        except InvalidTime as error:
            raise InvalidCell("invalid_time", str(error)) from None
        except ValueError:
            raise InvalidCell(
                "invalid_time",
                f"{text[:60]!r} is not a time; write 2026-11-21 10:00:00 (an offset may follow), or an epoch number",
            ) from None
        time = self._instant(moment)
        if not LOWEST <= time <= HIGHEST:
            raise InvalidCell("invalid_time", f"{text[:60]!r} lies outside the years 1 to 9999")
        return time

    def _instant(self, moment: datetime) -> int:
        local = (moment.replace(tzinfo=None) - _ORIGIN) // _MICROSECOND
        if moment.tzinfo is not None:
            return local - _offset(moment)
        if isinstance(self._zone, timezone):  # UTC and its like never set a clock
            return local - _offset(moment.replace(tzinfo=self._zone))
        first, second = (_offset(moment.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1))
        if first < second:
            raise InvalidCell(
                "invalid_time",
                f"{moment} never was in {self._zone}: the clocks were set forward over it. Does the logger keep to one"
                " offset all year? Then say so, for example --zone Etc/GMT-1",
            )
        if first == second or self._before is None:
            return local - first
        # The shorter of the last two: one of them may be a gap.
        before, step = self._before, min(self._steps, key=abs)
        return min(local - first, local - second, key=lambda time: (abs(time - before - step), abs(time - before)))


class Values:
    """Reads values: numbers, true and false. A decimal comma is understood where commas do not part the columns.

    The first number with a dot or a comma in it decides for the whole file which of them is the decimal sign.
    """

    def __init__(self, delimiter: str) -> None:
        self._decimal = "." if delimiter == "," else None

    def parse(self, text: str) -> float | bool | None:
        """The value; None for an empty cell. Raises InvalidCell."""
        text = text.strip()
        if not text:
            return None
        truth = _BOOLEANS.get(text.lower())
        if truth is not None:
            return truth
        try:
            value = float(self._with_dot(text))
        except ValueError:
            raise InvalidCell("invalid_value", f"{text[:60]!r} is not a number, true or false") from None
        if not math.isfinite(value):
            raise InvalidCell("not_finite", f"{text[:60]!r} is not a finite number")
        return value

    def _with_dot(self, text: str) -> str:
        if "_" in text:  # Python's own way to write numbers, and nobody else's
            raise ValueError(text)
        if self._decimal is None and ("," in text or "." in text):
            self._decimal = "," if "," in text else "."
        if self._decimal != ",":
            return text
        if "." in text and not ("," in text and _GROUPED.fullmatch(text)):
            raise InvalidCell(
                "invalid_value", f"{text[:60]!r} has a dot, but the decimal sign of this file is the comma"
            )
        return text.replace(".", "").replace(",", ".")


def is_time(text: str) -> bool:
    """Whether this is a time as text: a bare number could be anything."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_data(text: str, delimiter: str = ";") -> bool:
    """Whether this is a time or a value, and not a name."""
    try:
        return is_time(text) or Values(delimiter).parse(text) is not None
    except InvalidCell as error:
        return error.code == "not_finite"


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    return 0 if offset is None else offset // _MICROSECOND
