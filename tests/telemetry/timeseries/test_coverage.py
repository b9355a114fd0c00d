"""Which ranges are made: aligned, as wide as is set, and never over one that exists."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import MICROSECONDS_PER_DAY as DAY
from telemetry.timeseries.engine import Range, aligned, as_microseconds, as_timestamp


class Ranges:
    """Stands for an engine: refuses a range over another one, as servers do."""

    name = "standin"

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []
        self.asked = 0

    def ranges(self, _: Any) -> list[Range]:
        self.asked += 1
        return [Range("", start, end) for start, end in sorted(self.made)]

    def add_range(self, _: Any, start: int, end: int) -> None:
        assert start < end
        assert all(end <= low or high <= start for low, high in self.made), "over another range"
        self.made.append((start, end))


def ensure(coverage: Coverage, *times: int) -> int:
    return coverage.ensure(None, np.array(times, np.int64))  # type: ignore[arg-type]


def test_the_server_is_asked_only_for_what_is_not_known() -> None:
    engine = Ranges()
    coverage = Coverage(engine, 7)  # type: ignore[arg-type]
    assert ensure(coverage, 0, 1, 8 * DAY) == 2
    assert ensure(coverage, 5, 13 * DAY) == 0
    assert engine.asked == 1
    assert engine.made == [(0, 7 * DAY), (7 * DAY, 14 * DAY)]


@given(st.lists(st.tuples(st.integers(1, 40), st.lists(st.integers(0, 400 * DAY), min_size=1, max_size=5)), max_size=8))
def test_every_time_is_covered_and_no_two_ranges_meet_whatever_the_widths_were(
    steps: list[tuple[int, list[int]]],
) -> None:
    engine = Ranges()
    for days, times in steps:
        ensure(Coverage(engine, days), *times)  # type: ignore[arg-type]
    for _, times in steps:
        assert all(any(start <= time < end for start, end in engine.made) for time in times)


@given(st.integers(0, 250_000_000_000_000_000), st.integers(1, 400))
def test_ranges_are_aligned_and_times_exact(time: int, days: int) -> None:
    start, end = aligned(time, days)
    assert start <= time < end and end - start == days * DAY and start % (days * DAY) == 0
    assert as_microseconds(as_timestamp(time)) == time
    assert as_timestamp(time).tzinfo is UTC
    assert as_timestamp(0) == datetime(1970, 1, 1, tzinfo=UTC)
