"""Readings out of landed ranges are the readings that are there, whichever way they are read, on every server."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.rollups import rows as rollup_rows
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.pieces import Pieces
from telemetry.rollups.rows import fetch
from telemetry.store import stored
from telemetry.store.stored import values_at
from telemetry.timeseries import stretches
from telemetry.timeseries.landed import Landed
from telemetry.timeseries.stretches import Costs, Windows, groups, in_windows, windows_around
from tests.contracts.stores import DAY, NOON, Row, Store

pytestmark = pytest.mark.storage

MINUTE_US = 60_000_000
#: With few rows in it a stretch is read as a whole, with many its windows are read one by one.
DENSITIES = {"one by one": 10**12, "as a whole": 1}


def readings(seed: int) -> list[Row]:
    """Two hours of twenty series, some every minute and some now and then, and one late each."""
    draw = random.Random(seed)
    rows = {
        (series, NOON + minute * MINUTE_US + draw.randrange(MINUTE_US)): draw.random()
        for series in range(1, 21)
        for minute in range(120)
        if draw.random() < series / 20
    }
    rows |= {(series, NOON - DAY + series): 0.5 for series in range(1, 21)}
    return [(series, time, value) for (series, time), value in rows.items()]


def windows_of(seed: int) -> Windows:
    """Windows of every length, of some series, that do not overlap in a series."""
    draw = random.Random(seed)
    found = []
    for series in draw.sample(range(1, 25), 15):
        at = NOON + draw.randrange(10) * MINUTE_US
        for _ in range(draw.randrange(1, 4)):
            length = draw.choice((1, 1_000_000, MINUTE_US, 30 * MINUTE_US))
            found.append((series, at, at + length))
            at += length + draw.randrange(20 * MINUTE_US)
    draw.shuffle(found)
    columns = np.array(found, np.int64)
    return Windows(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2])


def landed(rows: int) -> Landed:
    return Landed(NOON - 2 * DAY, NOON + DAY, rows, NOON - DAY, 20)


@pytest.mark.parametrize("rows", DENSITIES.values(), ids=DENSITIES)
@pytest.mark.parametrize("most", [stretches._MOST_ROWS, 3], ids=["", "guessed wrong"])
@pytest.mark.parametrize("pauses", [False, True], ids=["", "with pauses"])
def test_windows_hold_what_lies_in_them(store: Store, monkeypatch, rows: int, most: int, pauses: bool) -> None:
    stored_rows = readings(1)
    store.drain(*stored_rows)
    monkeypatch.setattr(stretches, "_MOST_ROWS", most)
    monkeypatch.setattr(stretches, "_ROWS_BETWEEN_PAUSES", 20)
    paused: list[int] = []
    for seed in range(5):
        windows = windows_of(seed)
        each = list(zip(windows.series.tolist(), windows.low.tolist(), windows.high.tolist(), strict=True))
        expected = sorted(
            (series, time, value)
            for series, time, value in stored_rows
            if any(series == other and low <= time < high for other, low, high in each)
        )
        with store.connection.cursor() as cursor:
            found = in_windows(cursor, landed(rows), windows, (lambda: paused.append(1)) if pauses else None)
        assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
    assert len(paused) > 5 or not pauses


@pytest.mark.parametrize("rows", DENSITIES.values(), ids=DENSITIES)
def test_late_readings_are_compared_with_what_is_stored(store: Store, monkeypatch, rows: int) -> None:
    monkeypatch.setattr(stored, "landed", lambda cursor, within: (landed(rows),))
    known = {(series, time): value for series, time, value in readings(2)}
    store.drain(*((series, time, value) for (series, time), value in known.items()))
    asked = random.Random(3).sample(sorted(known), 100) + [(series, NOON + series) for series in range(1, 30)]
    series, times = (np.array(column) for column in zip(*asked, strict=True))
    found = values_at(store.connection, series.astype(np.int32), times)
    assert found == {place: known[pair] for place, pair in enumerate(asked) if pair in known}
    again = store.drain(*((series, time, value + 1) for (series, time), value in known.items()))
    assert (len(again.written), int(again.duplicate.sum()), int(again.conflict.sum())) == (0, len(known), len(known))


@pytest.mark.parametrize("rows", DENSITIES.values(), ids=DENSITIES)
def test_a_refresh_reads_the_same_readings(store: Store, monkeypatch, rows: int) -> None:
    store.drain(*readings(4))
    low = np.repeat(np.array([[NOON - DAY, NOON, NOON + 30 * MINUTE_US]]), 20, 0).ravel()
    pieces = Pieces(np.repeat(np.arange(1, 21, dtype=np.int32), 3), low, low + 20 * MINUTE_US)

    def everything() -> list[list[float]]:
        found = [readings for _, readings in fetch(store.connection, pieces, MINUTE, lambda: None)]
        return [np.concatenate(column).tolist() for column in zip(*found, strict=True)]

    plain = everything()
    monkeypatch.setattr(rollup_rows, "landed", lambda cursor, within: (Landed(NOON - 1, NOON + DAY, rows, NOON, 20),))
    assert everything() == plain
    assert len(plain[0]) > 300


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**9), st.integers(1, 10**9)), min_size=1),
    st.integers(1, 10**9),
)
def test_every_window_is_read_once(asked, rows) -> None:
    columns = np.array(asked, np.int64)
    windows = Windows(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 1] + columns[:, 2])
    found = groups(windows, Costs.of(Landed(0, 10**9, rows, 0, 50), 10**9))
    assert sorted(np.concatenate([group.rows for group in found]).tolist()) == list(range(len(asked)))


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 100)), min_size=1), st.integers(0, 30))
def test_windows_around_rows_hold_each_of_them_and_no_long_gap(rows, gap) -> None:
    columns = np.array(rows, np.int64)
    windows = windows_around(columns[:, 0].astype(np.int32), columns[:, 1], gap)
    each = list(zip(windows.series.tolist(), windows.low.tolist(), windows.high.tolist(), strict=True))
    for series, time in rows:
        assert sum(series == other and low <= time < high for other, low, high in each) == 1
    assert (windows.high - windows.low - 1).sum() <= gap * len(rows)


def test_what_lies_together_is_read_as_one_and_what_is_scattered_is_not() -> None:
    costs = Costs.of(Landed(0, DAY, 10_000_000, DAY - 1000 * 1_000_000, 10_000), DAY)
    everyone = np.arange(1, 10_001, dtype=np.int32)
    minute = np.full(len(everyone), DAY - MINUTE_US)
    assert [group.whole for group in groups(Windows(everyone, minute, minute + MINUTE_US), costs)] == [True]
    few = np.array([1, 5_000, 9_999], np.int32)
    quarter = np.full(3, DAY - 900 * 1_000_000)
    assert [group.whole for group in groups(Windows(few, quarter, quarter + 900 * 1_000_000), costs)] == [True]
    in_turn = quarter + np.arange(3) * 295 * 1_000_000
    assert [group.whole for group in groups(Windows(few, in_turn, in_turn + 300 * 1_000_000), costs)] == [False]
    many = np.arange(1, 10_001, 100, dtype=np.int32)
    day = np.full(len(many), DAY - 900 * 1_000_000)
    assert [group.whole for group in groups(Windows(many, day, day + 900 * 1_000_000), costs)] == [False]
