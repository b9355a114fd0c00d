"""Partitions and chunks, over every engine: made when needed, whatever the age; old ones dropped or compressed."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from telemetry.store.frontier import Frontier
from telemetry.timeseries.engine import aligned, engine_in_use
from tests.contracts.stores import DAY, NOON, Store, counted

pytestmark = pytest.mark.storage
YEAR_2001 = 978_307_200_000_000


def make(store: Store, *times: int) -> int:
    with store.connection.cursor() as cursor:
        return store.coverage.ensure(cursor, np.array(times, np.int64))


def test_the_engine_is_found_by_its_table(store: Store) -> None:
    with store.connection.cursor() as cursor:
        assert engine_in_use(cursor).name == store.engine.name


def test_ranges_are_made_ahead_and_used(store: Store) -> None:
    assert make(store, NOON, NOON + 7 * DAY, NOON + 14 * DAY) == 3
    ahead = store.ranges()
    store.drain((1, NOON, 1.0), (1, NOON + 7 * DAY, 1.0), (1, NOON + 14 * DAY, 1.0))
    assert store.ranges() == ahead


def test_ranges_are_made_once(store: Store) -> None:
    assert make(store, NOON, NOON + 1, NOON + 2) == 1
    assert make(store, NOON) == 0
    store.take_over()
    assert make(store, NOON) == 0


def test_making_a_range_that_another_process_made_meanwhile_is_no_error(store: Store) -> None:
    start, end = aligned(NOON, store.days * DAY)
    with store.connection.cursor() as cursor:
        store.engine.add_range(cursor, start, end)
        store.engine.add_range(cursor, start, end)
    assert store.ranges() == [(start, end)]


def test_backfill_of_any_year_since_1970(store: Store) -> None:
    assert counted(store.drain((1, 0, 1.0), (1, 1, 1.0), (1, YEAR_2001, 2.0), (1, NOON, 3.0))) == (4, 0, 0)
    with store.connection.cursor() as cursor:
        width = store.engine.width(cursor, store.days)
    assert len(store.ranges()) == 3
    assert {end - start for start, end in store.ranges()} <= {width, store.days * DAY}


def test_ranges_of_another_width_may_be_neighbours(store: Store) -> None:
    store.drain((1, NOON, 1.0), (1, NOON + 21 * DAY, 1.0))
    wide = replace(store, days=30, frontier=Frontier())
    rows = [(1, NOON + day * DAY, 1.0) for day in range(-39, 60, 3)]
    assert counted(wide.drain(*rows)) == (len(rows) - 2, 2, 0)
    narrow = replace(store, days=1, frontier=Frontier())
    narrow.drain(*((1, NOON + day * DAY + 5, 1.0) for day in range(-45, 65)))
    ranges = store.ranges()
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ranges))
    assert len(store.table()) == len(rows) + 110


def test_retention_drops_old_ranges_only(store: Store) -> None:
    store.drain((1, NOON - 30 * DAY, 1.0), (1, NOON - 8 * DAY, 2.0), (1, NOON, 3.0))
    middle = store.ranges()[1]
    with store.connection.cursor() as cursor:
        assert len(store.engine.drop_before(cursor, middle[0] + DAY)) == 1
        assert store.engine.drop_before(cursor, middle[0] + DAY) == []
    assert sorted(store.table().values()) == [2.0, 3.0]
    store.take_over()
    assert counted(store.drain((1, NOON - 30 * DAY, 9.0))) == (1, 0, 0)


def test_compressed_ranges_take_late_readings_and_know_repeats(store: Store) -> None:
    """Where the engine does not compress, the same holds of what it left as it was."""
    rows = [(series, NOON + 1000 * at, float(at)) for series in (1, 2) for at in range(50)]
    store.drain(*rows, (1, NOON + 20 * DAY, 1.0))
    packed = store.pack(NOON + 14 * DAY)
    assert len(packed) == (store.engine.name == "timescale")
    with store.connection.cursor() as cursor:
        assert [part.compressed for part in store.engine.ranges(cursor)] == [bool(packed), store.lands]
    assert store.pack(NOON + 14 * DAY) == []
    store.take_over()
    late = [(1, NOON + 1000 * at + 1, 7.0) for at in range(50)]
    stored = store.drain(*late, *rows, (2, NOON, 5.0), (3, NOON, 1.0))
    assert counted(stored) == (51, 101, 1)
    assert len(store.table()) == 152
    store.pack(NOON + 14 * DAY)
    store.take_over()
    assert counted(store.drain(*late, *rows)) == (0, 150, 0)
