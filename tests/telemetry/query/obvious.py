"""Answers computed in the most obvious way, one reading after the other: slow, and hard to get wrong."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from telemetry.query.buckets import Bucket
from telemetry.query.question import Line, Question

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = {"s": 1, "m": 60, "h": 3600}

Streams = Mapping[int, Sequence[tuple[int, float]]]


def moment(time: int) -> datetime:
    return EPOCH + timedelta(microseconds=time)


def bucket_key(bucket: Bucket, zone: Any, time: int) -> Any:
    """Two readings lie in one bucket where their keys are equal."""
    if bucket.unit in _FIXED:
        return time // (bucket.number * _FIXED[bucket.unit] * 1_000_000)
    day = moment(time).astimezone(zone).date()
    if bucket.unit == "d":
        return (day - datetime(1970, 1, 1).date()).days // bucket.number
    if bucket.unit == "w":
        return (day - datetime(1970, 1, 5).date()).days // 7 // bucket.number
    months = {"mo": 1, "q": 3, "y": 12}[bucket.unit] * bucket.number
    return (day.year * 12 + day.month - 1) // months


def recomputed(streams: Streams, question: Question) -> list[list[dict[str, float]]]:
    """Of each line, its buckets with readings, in order of time."""
    return [_of_line(streams, question, line) for line in question.lines]


def _of_line(streams: Streams, question: Question, line: Line) -> list[dict[str, float]]:
    assert question.bucket is not None
    held: dict[Any, list[tuple[int, int, float]]] = {}
    increases: dict[Any, float] = {}
    for series in line.series:
        before = None
        for time, value in streams.get(series, ()):
            if question.start <= time < question.end:
                key = bucket_key(question.bucket, question.zone, time)
                held.setdefault(key, []).append((time, series, value))
                step = 0.0 if before is None else value - before if value >= before else value
                increases[key] = increases.get(key, 0.0) + step
            if time < question.end:
                before = value
    return [_amounts(sorted(held[key]), increases[key]) for key in sorted(held)]


def _amounts(rows: list[tuple[int, int, float]], increase: float) -> dict[str, float]:
    values = [value for _, _, value in rows]
    last_time = rows[-1][0]
    return {
        "avg": statistics.fmean(values),
        "min": min(values),
        "max": max(values),
        "sum": float(np.sum(values)),
        "count": len(values),
        "stddev": statistics.pstdev(values),
        "first": rows[0][2],
        "last": next(value for time, _, value in rows if time == last_time),
        "increase": increase,
        "p50": float(np.quantile(values, 0.50)),
        "p95": float(np.quantile(values, 0.95)),
        "p99": float(np.quantile(values, 0.99)),
    }
