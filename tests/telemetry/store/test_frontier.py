"""The checkpoint is a lower bound and nothing more; what is in memory grows with the series; however event time is cut into
landed and other parts, the frontier is the newest reading."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.intake.batch import Batch
from telemetry.store.frontier import NEVER, Frontier
from telemetry.timeseries.engine import EARLIEST
from telemetry.timeseries.landed import FOREVER, Landed, Part, parts


class Readings:
    """Stands for the table: event times by series, which of them are landed, and which series were gone down for."""

    def __init__(self, times: dict[int, list[int]], *landed: tuple[int, int]) -> None:
        self.times, self.asked, self.grouped_from = times, [], []
        self.landed = [Landed(*each) for each in landed]

    def parts(self, _: Any) -> list[Part]:
        return parts(self.landed, EARLIEST, FOREVER)

    def is_empty(self, _: Any, part: Part) -> bool:
        return not any(part.low <= time < part.high for times in self.times.values() for time in times)

    def each(self, _: Any, part: Part, series: Any, low: Any) -> Any:
        self.asked.append(series.tolist())
        return self._newest(part, dict(zip(series.tolist(), low.tolist(), strict=True)))

    def grouped(self, _: Any, part: Part, series: Any) -> Any:
        assert part.landed, "only landed parts are read as a whole"
        self.grouped_from.append(part.low)
        between = range(series[0], series[-1] + 1)
        return self._newest(part, dict.fromkeys((each for each in self.times if each in between), NEVER))

    def _newest(self, part: Part, lows: dict[int, int]) -> Any:
        found = {
            series: max((time for time in self.times.get(series, ()) if part.low <= time < part.high), default=NEVER)
            for series in lows
        }
        rows = [(series, time) for series, time in found.items() if time > lows[series]]
        columns = np.array(rows, np.int64).reshape(-1, 2)
        return columns[:, 0].astype(np.int32), columns[:, 1]


def of(frontier: Frontier, *series: int) -> list[int]:
    return frontier.of(None, np.array(series, np.int32)).tolist()


def stored(*rows: tuple[int, int]) -> Batch:
    series, times = zip(*rows, strict=True)
    return Batch(np.array(series, np.int32), np.array(times, np.int64), np.ones(len(rows)))


def test_each_series_is_confirmed_by_the_readings_once() -> None:
    readings = Readings({1: [100], 5000: [7]})
    frontier = Frontier(readings)
    assert of(frontier, 1, 1, 5000, 2) == [100, 100, 7, NEVER]
    assert of(frontier, 5000, 1) == [7, 100]
    assert readings.asked == [[1, 2, 5000]]


def test_a_checkpoint_behind_the_readings_is_corrected() -> None:
    before = Frontier(Readings({}))
    of(before, 1, 2)
    before.advance(stored((1, 50), (2, 60)))
    frontier = Frontier(Readings({1: [90], 2: [60], 3: [5]}))
    frontier.load(*before.checkpoint())
    assert of(frontier, 1, 2, 3) == [90, 60, 5]


def test_late_readings_do_not_move_it_back() -> None:
    frontier = Frontier(Readings({}))
    of(frontier, 1)
    for time in (100, 50):
        frontier.advance(stored((1, time)))
    assert of(frontier, 1) == [100]


def test_an_empty_checkpoint_loads() -> None:
    frontier = Frontier(Readings({}))
    frontier.load(*frontier.checkpoint())
    assert of(frontier, 1) == [NEVER]


def test_what_landed_lately_is_read_once_for_all_that_the_checkpoint_names() -> None:
    readings = Readings({series: [100, 200 + series] for series in range(1, 50)}, (50, 1000))
    frontier = Frontier(readings, few=5)
    before = Frontier(Readings({}))
    of(before, *range(1, 50))
    before.advance(stored(*((series, 100) for series in range(1, 50))))
    frontier.load(*before.checkpoint())
    assert of(frontier, *range(1, 20)) == [200 + series for series in range(1, 20)]
    readings.parts = None
    assert of(frontier, *range(1, 50)) == [200 + series for series in range(1, 50)]


def test_one_silent_series_does_not_have_everything_read() -> None:
    readings = Readings({series: [10, 900 + series] for series in range(1, 50)} | {50: [10]}, (5, 1000))
    before = Frontier(Readings({}))
    of(before, *range(1, 51))
    before.advance(stored(*((series, 900 if series < 50 else 10) for series in range(1, 51))))
    frontier = Frontier(readings, few=5)
    frontier.load(*before.checkpoint())
    of(frontier, *range(1, 51))
    assert (readings.grouped_from, readings.asked) == ([901], [[50]])


_TIMES = st.integers(0, 40)
_TABLES = st.dictionaries(st.integers(1, 8), st.lists(_TIMES, max_size=6), max_size=8)


@given(
    _TABLES,
    st.lists(st.tuples(_TIMES, st.integers(1, 15)), max_size=4),
    st.dictionaries(st.integers(1, 8), st.integers(0, 5)),
    st.lists(st.lists(st.integers(1, 8), min_size=1), min_size=1, max_size=5),
    st.integers(0, 3),
    st.data(),
)
def test_however_time_is_cut_it_is_the_newest_reading(table, landed, behind, asks, few, data) -> None:
    """``behind``: how many of its readings a series had when the checkpoint was saved. Readings are stored between asks,
    and parts land and are sorted between them too."""
    table = {series: list(times) for series, times in table.items()}
    readings = Readings(table, *_disjoint(landed))
    frontier = Frontier(readings, few)
    before = Frontier(Readings({}))
    rows = [(series, max(table[series][:many])) for series, many in behind.items() if table.get(series, [])[:many]]
    if rows:
        of(before, *sorted(series for series, _ in rows))
        before.advance(stored(*sorted(rows)))
    frontier.load(*before.checkpoint())
    for ask in asks:
        assert of(frontier, *ask) == [max(table.get(series) or [NEVER]) for series in ask]
        new = {series: data.draw(_TIMES) for series in ask}
        for series, time in new.items():
            table.setdefault(series, []).append(time)
        frontier.advance(stored(*sorted(new.items())))
        readings.landed = [
            Landed(*each) for each in _disjoint(data.draw(st.lists(st.tuples(_TIMES, st.integers(1, 9)))))
        ]


def _disjoint(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for low, width in sorted(ranges):
        if not found or low >= found[-1][1]:
            found.append((low, low + width))
    return found
