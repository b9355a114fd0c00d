"""The same question about an earlier period, aligned bucket by bucket. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from telemetry.query.buckets import Bucket, edges
from telemetry.query.question import Question
from telemetry.timeseries.engine import EARLIEST, as_microseconds, as_timestamp

__all__ = ["earlier"]

_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "q": 3, "y": 12}


def earlier(question: Question, how: str | Bucket) -> Question:
    """The question about the period just before ("previous"), or about that one earlier by a width.

    Where the period consists of whole buckets, the previous one has as many of them: 30 days for a month of 30. Widths of
    calendar units are counted on the clock of the question's zone, so that 9 o'clock is compared with 9 o'clock.
    """
    assert question.bucket is not None
    if isinstance(how, Bucket):
        start, end = (max(EARLIEST, _back(time, how, question)) for time in (question.start, question.end))
        return replace(question, start=start, end=max(end, start + 1))
    start = 2 * question.start - question.end
    if question.bucket.fixed is None:
        borders = edges(question.bucket, question.start, question.end, question.zone)
        if borders[0] == question.start and borders[-1] == question.end:
            start = _buckets_before(question, len(borders) - 1)
    return replace(question, start=max(EARLIEST, start), end=max(question.start, EARLIEST + 1))


def _buckets_before(question: Question, count: int) -> int:
    """The start of the bucket so many before the question's first."""
    assert question.bucket is not None
    # Months differ in length: look back further than the mean says.
    far = question.start - (count + 2) * int(question.bucket.about * 1.1)
    borders = edges(question.bucket, far, question.start, question.zone)
    return int(borders[np.searchsorted(borders, question.start) - count])


def _back(time: int, how: Bucket, question: Question) -> int:
    if how.fixed is not None:
        return time - how.fixed
    local = as_timestamp(time).astimezone(question.zone).replace(tzinfo=None)
    try:
        if how.unit in _DAYS:
            local -= timedelta(days=how.number * _DAYS[how.unit])
        else:
            local = _months_back(local, how.number * _MONTHS[how.unit])
    except OverflowError:  # before the year 1
        return EARLIEST
    return as_microseconds(local.replace(tzinfo=question.zone).astimezone(UTC))


def _months_back(local: datetime, months: int) -> datetime:
    """The same day of an earlier month, or its last one."""
    year, month = divmod(local.year * 12 + local.month - 1 - months, 12)
    first = local.replace(year=max(1, year), month=month + 1, day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(local.day, last.day))
