"""The newest reading of a series is found in either way, on every server and layout."""

from __future__ import annotations

import random

import numpy as np
import pytest

from telemetry.store.frontier import Frontier
from telemetry.store.newest import Newest
from telemetry.timeseries.engine import EARLIEST
from telemetry.timeseries.landed import FOREVER, Landed, Part, parts
from tests.contracts.stores import DAY, NOON, Row, Store

pytestmark = pytest.mark.storage

SERIES = np.arange(1, 41, dtype=np.int32)


class Pretended(Newest):
    """Says that these ranges are landed, whatever the server did."""

    def __init__(self, *landed: tuple[int, int]) -> None:
        self._landed = [Landed(*each) for each in landed]

    def parts(self, connection) -> list[Part]:
        return parts(self._landed, EARLIEST, FOREVER)


def readings(seed: int) -> list[Row]:
    """Of some series none, of others up to ten within some weeks."""
    draw = random.Random(seed)
    return [
        (series, NOON + draw.randrange(30 * DAY), draw.random())
        for series in SERIES.tolist()
        for _ in range(draw.choice((0, 0, 1, 3, 10)))
    ]


def newest_of(rows: list[Row]) -> dict[int, int]:
    found: dict[int, int] = {}
    for series, time, _ in rows:
        found[series] = max(time, found.get(series, time))
    return found


def test_going_down_and_reading_a_stretch_as_a_whole_find_the_same(store: Store) -> None:
    rows = readings(1)
    store.drain(*rows)
    part = Part(NOON + 3 * DAY, NOON + 20 * DAY)
    expected = newest_of([row for row in rows if part.low <= row[1] < part.high])
    low = np.full(len(SERIES), EARLIEST - 1, np.int64)
    newest = Newest()
    for series, times in (
        newest.each(store.connection, part, SERIES, low),
        newest.grouped(store.connection, part, SERIES),
    ):
        assert dict(zip(series.tolist(), times.tolist(), strict=True)) == expected


def test_a_part_without_readings_is_empty(store: Store) -> None:
    assert Newest().is_empty(store.connection, Part(EARLIEST, FOREVER))
    store.drain((1, NOON, 1.0))
    assert not Newest().is_empty(store.connection, Part(NOON, NOON + 1))
    assert Newest().is_empty(store.connection, Part(NOON + 1, FOREVER))


@pytest.mark.parametrize("few", [0, 3])
def test_a_shard_is_taken_over_with_the_same_frontier_whatever_is_landed(store: Store, few: int) -> None:
    rows = readings(2)
    store.drain(*rows)
    behind = store.frontier.checkpoint()
    later = [(series, time + 2 * DAY, value) for series, time, value in rows[::3]]
    store.drain(*later)
    expected = newest_of(rows + later)
    for landed in [(), [(NOON, NOON + 31 * DAY)], [(NOON - DAY, NOON + 10 * DAY), (NOON + 15 * DAY, NOON + 29 * DAY)]]:
        for checkpoint in (None, behind):
            frontier = Frontier(Pretended(*landed), few)
            if checkpoint:
                frontier.load(*checkpoint)
            for part in (SERIES[:7], SERIES):
                known = frontier.of(store.connection, part).tolist()
                assert dict(zip(part.tolist(), known, strict=True)) == {
                    series: expected.get(series, np.iinfo(np.int64).min) for series in part.tolist()
                }
