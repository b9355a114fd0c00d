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

HOUR = DAY // 24


class Ranges:
    """Stands for an engine: refuses a range over another one, as servers do."""

    name = "standin"

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []
        self.asked = 0
        #: That of coming ranges, in µs; None: as many days as are set.
        self.chosen: int | None = None

    def width(self, _: Any, days: int) -> int:
        return self.chosen or days * DAY

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
    assert sorted(engine.made) == [(0, 7 * DAY), (7 * DAY, 14 * DAY)]


def test_what_comes_now_gets_the_chosen_width_and_history_that_of_the_setting() -> None:
    engine = Ranges()
    engine.chosen = HOUR
    coverage = Coverage(engine, 7)  # type: ignore[arg-type]
    now = 705 * DAY + HOUR // 2
    ensure(coverage, now - 30 * DAY, now, now + HOUR, now - 2 * DAY)
    assert sorted(engine.made) == [
        (672 * DAY, 679 * DAY),
        (703 * DAY, 703 * DAY + HOUR),
        (705 * DAY, 705 * DAY + HOUR),
        (705 * DAY + HOUR, 705 * DAY + 2 * HOUR),
    ]
    ensure(coverage, now - 6 * DAY, now - 12 * DAY)
    assert [end - start for start, end in sorted(engine.made)][1:3] == [6 * DAY, HOUR]


_times = st.lists(st.integers(0, 400 * DAY), min_size=1, max_size=5)


@given(st.lists(st.tuples(st.integers(1, 40), st.none() | st.integers(1, 2000), _times), max_size=8))
def test_every_time_is_covered_and_no_two_ranges_meet_whatever_the_widths_were(
    steps: list[tuple[int, int | None, list[int]]],
) -> None:
    engine = Ranges()
    for days, hours, times in steps:
        engine.chosen = None if hours is None else hours * HOUR
        ensure(Coverage(engine, days), *times)  # type: ignore[arg-type]
    for _, _, times in steps:
        assert all(any(start <= time < end for start, end in engine.made) for time in times)


@given(st.integers(0, 250_000_000_000_000_000), st.integers(1, 400))
def test_ranges_are_aligned_and_times_exact(time: int, days: int) -> None:
    start, end = aligned(time, days * DAY)
    assert start <= time < end and end - start == days * DAY and start % (days * DAY) == 0
    assert as_microseconds(as_timestamp(time)) == time
    assert as_timestamp(time).tzinfo is UTC
    assert as_timestamp(0) == datetime(1970, 1, 1, tzinfo=UTC)
