"""What can be asked of stored readings, and what is answered. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from telemetry.query.buckets import Bucket

__all__ = [
    "FILLS",
    "FUNCTIONS",
    "PERCENTILES",
    "Answer",
    "Limits",
    "Line",
    "Points",
    "Question",
    "RawAnswer",
    "TooMuch",
]

#: What a bucket can be asked for. Population standard deviation; first and last by event time; rate in units a second.
FUNCTIONS = ("avg", "min", "max", "sum", "count", "stddev", "first", "last", "rate", "increase", "p50", "p95", "p99")
PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
FILLS = ("none", "null", "previous", "linear")


class TooMuch(Exception):
    """The question costs more than one may; `detail` says how to ask instead, `parameter` by which."""

    def __init__(self, parameter: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.parameter = parameter
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """What one question may cost: rows read of any table, results answered, seconds of one statement."""

    rows: int
    points: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: the readings of these series together. Named after a device or after a group."""

    metric: str
    series: tuple[int, ...]
    device: str | None = None
    group: str | None = None
    unit: str = ""
    #: Its readings are true and false.
    boolean: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """Readings with event times in [start, end) µs since 1970, by bucket (None: the readings themselves)."""

    lines: tuple[Line, ...]
    start: int
    end: int
    bucket: Bucket | None
    functions: tuple[str, ...]
    zone: ZoneInfo
    fill: str = "none"
    #: For the readings themselves: at most so many of each line, with the extremes kept.
    points: int | None = None


@dataclass(slots=True)
class Answer:
    """A value by line and bucket: L lines, N buckets."""

    question: Question
    #: Coarsest level that was read: raw, minute, hour or day.
    source: str
    #: N + 1 edges in µs since 1970, as the calendar has them: the outer ones may lie beyond [start, end).
    edges: NDArray[np.int64]
    #: (L, N): readings in the bucket.
    count: NDArray[np.int64]
    #: (L, N) by function; NaN where there is no value.
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        return str(self.question.bucket)


@dataclass(slots=True)
class Points:
    """Readings of one line in time order; times in µs since 1970."""

    times: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(slots=True)
class RawAnswer:
    """The readings themselves, by line."""

    question: Question
    points: list[Points]
    source: str = "raw"
    bucket: str = "raw"
