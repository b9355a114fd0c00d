"""The answer to a question of any size, a piece at a time, line by line: never more in memory than one question may cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from django.db import OperationalError
from numpy.typing import NDArray

from telemetry.exports.failures import ExportRefused
from telemetry.query.aggregates import aggregate
from telemetry.query.breaker import is_timeout
from telemetry.query.buckets import edges
from telemetry.query.columns import columns_of
from telemetry.query.question import Answer, Limits, Points, Question, RawAnswer, TooMuch

__all__ = ["pieces"]

#: Readings in one piece.
_PAGE = 50_000
#: Fillings that look at no other bucket, so that a line may be cut.
_CUTTABLE = ("none", "null")


def pieces(question: Question, limits: Limits) -> Iterator[Answer | RawAnswer]:
    """Each piece is read in a snapshot of its own. Raises ExportRefused where not even one bucket of one line is within
    the limits, OperationalError where the database fails."""
    if question.bucket is None:
        yield from _readings(question)
        return
    borders = np.clip(edges(question.bucket, question.start, question.end, question.zone), question.start, question.end)
    lines = max(1, limits.points // len(borders))
    for low in range(0, len(question.lines), lines):
        yield from _answered(replace(question, lines=question.lines[low : low + lines]), borders, limits)


def _answered(question: Question, borders: NDArray[np.int64], limits: Limits) -> Iterator[Answer | RawAnswer]:
    """The answer, or where that costs too much, those of its halves."""
    try:
        answer = aggregate(question, limits)
    except TooMuch as error:
        halves, reason = _halves(question, borders), error.detail
    except OperationalError as error:
        if not is_timeout(error):
            raise
        halves, reason = _halves(question, borders), "It takes too long: ask for fewer devices or metrics."
    else:
        yield answer
        return
    if not halves:
        raise ExportRefused(reason)
    for half, its_borders in halves:
        yield from _answered(half, its_borders, limits)


def _halves(question: Question, borders: NDArray[np.int64]) -> list[tuple[Question, NDArray[np.int64]]]:
    """Half of the lines each, else half of the buckets; nothing where neither can be cut."""
    lines, buckets = len(question.lines), len(borders) - 1
    if lines > 1:
        half = lines // 2
        return [(replace(question, lines=each), borders) for each in (question.lines[:half], question.lines[half:])]
    if buckets < 2 or question.fill not in _CUTTABLE:
        return []
    parts = (borders[: buckets // 2 + 1], borders[buckets // 2 :])
    return [(replace(question, start=int(part[0]), end=int(part[-1])), part) for part in parts]


def _readings(question: Question) -> Iterator[RawAnswer]:
    for line in question.lines:
        start, own = question.start, replace(question, lines=(line,))
        for series in line.series:
            while len((got := columns_of(series, start, question.end, _PAGE)).times):
                yield RawAnswer(own, [Points(got.times, got.values)])
                start = int(got.times[-1]) + 1
