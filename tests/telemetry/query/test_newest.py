"""The newest reading out of landed columns is the newest reading, whatever of it is rolled up, marked or late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from telemetry.database import connect
from telemetry.query import latest as latest_module
from telemetry.query import newest
from telemetry.query.latest import _newest_of
from telemetry.query.newest import newest_in
from telemetry.timeseries import stretches
from telemetry.timeseries.engine import as_microseconds, as_timestamp
from telemetry.timeseries.landed import Landed, Part
from telemetry.timeseries.stretches import Readings, Windows
from tests.telemetry.query.rolled import Reading, begin, by_series, put, roll_up

MINUTE, DAY = 60_000_000, 86_400_000_000
NOW = 1_795_219_200_000_000 + DAY // 2
SERIES = np.arange(1, 31, dtype=np.int32)


@pytest.fixture
def database(platform_db: None) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as connection:
        yield connection


def readings(draw: random.Random, low: int, high: int) -> list[Reading]:
    """Of some series none, of others some, each value once."""
    chosen = [
        (series, draw.randrange(low, high)) for series in SERIES.tolist() for _ in range(draw.choice((0, 0, 1, 4)))
    ]
    return [(series, time, draw.random()) for series, time in sorted(set(chosen))]


@pytest.mark.parametrize("few_marks", [1, 1_000])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_newest_of_a_part(database, monkeypatch, seed: int, few_marks: int) -> None:
    """Whether what was marked last is read first, or what is marked is looked through."""
    monkeypatch.setattr(newest, "_FEW_MARKS", few_marks)
    draw = random.Random(seed)
    begin(database)
    batches = [readings(draw, NOW - 3 * 60 * MINUTE, NOW + MINUTE)]
    put(database, batches[0])
    if seed:
        roll_up(database, NOW - draw.randrange(200) * MINUTE)
    # Late ones wait, marked, for the next refresh.
    late = [
        row for row in readings(draw, NOW - 3 * 60 * MINUTE, NOW) if row[:2] not in {each[:2] for each in batches[0]}
    ]
    put(database, late)
    came = as_timestamp(NOW - draw.randrange(100) * MINUTE)
    database.execute("UPDATE telemetry_rollupmark SET at = %s", [came])
    part = Part(NOW - 150 * MINUTE, NOW + DAY)
    part = Part(part.low, part.high, Landed(part.low, part.high, 10**6 * seed, part.low, 30))
    expected = {
        series: [row for row in rows if row[0] >= part.low][-1]
        for series, rows in by_series(batches[0] + late).items()
        if any(row[0] >= part.low for row in rows)
    }
    with database.cursor() as cursor:
        assert newest_in(cursor, part, SERIES, NOW) == expected


def test_a_marked_minute_whose_reading_was_purged_hides_nothing(database) -> None:
    begin(database)
    put(database, [(1, NOW - 60 * MINUTE, 1.0)])
    roll_up(database, NOW - MINUTE)
    put(database, [(1, NOW - 30 * MINUTE, 2.0)])
    database.execute("DELETE FROM telemetry_reading WHERE value = 2.0")
    part = Part(NOW - DAY, NOW + DAY, Landed(NOW - DAY, NOW + DAY, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        assert newest_in(cursor, part, SERIES, NOW) == {1: (NOW - 60 * MINUTE, 1.0)}


def test_series_that_speak_are_found_without_looking_through_marks(database, monkeypatch) -> None:
    begin(database)
    for number in range(newest._FEW_MARKS):
        put(database, [(series, NOW + number - 5_000_000, 1.0 * number) for series in (1, 2)])
    database.execute("UPDATE telemetry_rollupmark SET at = %s", [as_timestamp(NOW - 5_000_000)])
    monkeypatch.delattr(newest, "marked")
    part = Part(NOW - DAY, NOW + DAY, Landed(NOW - DAY, NOW + DAY, 1000, NOW - DAY, 30))
    newest_value = newest._FEW_MARKS - 1
    with database.cursor() as cursor:
        found = newest_in(cursor, part, SERIES[:2], NOW)
    assert found == dict.fromkeys((1, 2), (NOW + newest_value - 5_000_000, newest_value))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the windows are, in µs, that were read."""
    lengths: list[int] = []

    def in_windows(cursor: Any, landed: Landed, windows: Windows) -> Readings:
        lengths.extend((windows.high - windows.low).tolist())
        return stretches.in_windows(cursor, landed, windows)

    monkeypatch.setattr(newest, "in_windows", in_windows)
    return lengths


def test_marks_of_other_times_do_not_have_a_part_read(database, read: list[int]) -> None:
    """A drain of many ranges marks them in one row: a device's backlog beside what others send now."""
    begin(database)
    backlog = [(series, NOW - 3 * DAY - series * MINUTE, 1.0) for series in range(1, 31)]
    put(database, [*backlog, *((series, NOW - series * MINUTE, 2.0) for series in range(101, 131))])
    part = Part(NOW - DAY, NOW + DAY, Landed(NOW - DAY, NOW + DAY, 1000, NOW - DAY, 130))
    with database.cursor() as cursor:
        assert newest_in(cursor, part, SERIES, NOW) == {}
    assert sum(read) == 0


def test_marks_that_were_left_over_do_not_have_hours_read(database, read: list[int]) -> None:
    begin(database)
    for number in range(newest._FEW_MARKS):
        put(database, [(series, NOW - number, 1.0) for series in (1, 2)])
    database.execute("UPDATE telemetry_rollupmark SET at = %s", [as_timestamp(NOW - DAY // 2)])
    part = Part(NOW - DAY, NOW, Landed(NOW - DAY, NOW, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        assert newest_in(cursor, part, SERIES[:2], NOW) == {1: (NOW - 1, 1.0), 2: (NOW - 1, 1.0)}
    assert sum(read) <= 2 * 10_000_000


@pytest.mark.parametrize("rolled", [False, True])
def test_a_part_that_ends_within_a_minute_has_the_minutes_before_read(database, read: list[int], rolled: bool) -> None:
    begin(database)
    minute = NOW - 30 * MINUTE
    put(database, [(1, minute - 5 * MINUTE, 1.0), (1, minute + MINUTE - 1, 2.0)])
    if rolled:
        roll_up(database, NOW)
    part = Part(NOW - DAY, minute + MINUTE // 2, Landed(NOW - DAY, NOW, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        assert newest_in(cursor, part, SERIES, part.high) == {1: (minute - 5 * MINUTE, 1.0)}
    assert sum(read) <= 3 * MINUTE


def test_of_a_minute_that_devices_are_behind_in_only_what_came_last_is_read(database, read: list[int]) -> None:
    """They were away for half an hour and fill it now: nothing says so but the marks."""
    begin(database)
    minute = NOW - 30 * MINUTE
    for second in range(10):
        put(database, [(series, minute + second * 1_000_000, float(second)) for series in (1, 2)])
    part = Part(NOW - DAY, NOW, Landed(NOW - DAY, NOW, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        found = newest_in(cursor, part, SERIES[:2], NOW)
        assert found == dict.fromkeys((1, 2), (minute + 9_000_000, 9.0))
        assert sum(read) <= 1_000_000
        # What is made of the minute may reach further than what came to it since.
        roll_up(database, NOW)
        put(database, [(series, minute + 5_000_001, 5.5) for series in (1, 2)])
        assert newest_in(cursor, part, SERIES[:2], NOW) == found


def test_where_a_crowd_fell_silent_within_a_minute_its_end_is_looked_for(
    database, monkeypatch, read: list[int]
) -> None:
    monkeypatch.setattr(newest, "_MANY_READINGS", 100)
    begin(database)
    minute = NOW - 30 * MINUTE
    put(database, [(series, minute + second * 1_000_000, float(second)) for series in (1, 2) for second in range(8)])
    put(database, [(3, minute + 1, 3.0)])
    roll_up(database, NOW)
    part = Part(NOW - DAY, NOW, Landed(NOW - DAY, NOW, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        newest_of_both = dict.fromkeys((1, 2), (minute + 7_000_000, 7.0))
        assert newest_in(cursor, part, SERIES[:2], NOW) == newest_of_both
        assert sum(read) <= 2 * 2 * newest._INTERVALS * MINUTE // 8
        # One that fell silent before the others is looked for as ever.
        assert newest_in(cursor, part, SERIES[:3], NOW) == newest_of_both | {3: (minute + 1, 3.0)}
        # And where all of it is gone, nothing is.
        database.execute("DELETE FROM telemetry_reading")
        assert newest_in(cursor, part, SERIES[:3], NOW) == {}


def test_what_came_before_a_range_is_found_in_the_newest_of_landed_parts(database, monkeypatch) -> None:
    """`increase` begins with it."""
    from telemetry.query import fetch

    begin(database)
    put(database, [(1, NOW - 10 * MINUTE, 1.0), (1, NOW - 90 * MINUTE, 2.0), (2, NOW - 95 * MINUTE, 3.0)])
    parts = [
        Landed(NOW - 60 * hours * MINUTE, NOW - 60 * (hours - 1) * MINUTE, 1000, NOW - DAY, 5) for hours in (3, 2, 1)
    ]
    monkeypatch.setattr(fetch, "landed", lambda cursor, within: tuple(parts))
    with database.cursor() as cursor:
        assert fetch.last_before(cursor, SERIES[:1], NOW) == {1: 1.0}
        assert fetch.last_before(cursor, SERIES[:2], NOW) == {1: 1.0, 2: 3.0}


def test_of_a_full_minute_only_the_end_is_read(database, read: list[int]) -> None:
    """Ten thousand series that send ten readings a second fill a minute with six million."""
    begin(database)
    minute = NOW - 30 * MINUTE
    put(database, [(series, minute + 1, 1.0) for series in (1, 2, 3)])
    roll_up(database, NOW - MINUTE)
    put(database, [(series, minute + MINUTE - 100_000, 2.0) for series in (1, 2)])
    part = Part(NOW - DAY, NOW - MINUTE, Landed(NOW - DAY, NOW, 1000, NOW - DAY, 30))
    with database.cursor() as cursor:
        found = newest_in(cursor, part, SERIES[:2], NOW)
        assert {series: value for series, (_, value) in found.items()} == {1: 2.0, 2: 2.0}
        assert sum(read) <= 1_000_000
        # What is not there is looked for in the rest of its minute.
        assert newest_in(cursor, part, SERIES[:3], NOW)[3] == (minute + 1, 1.0)


def test_latest_values_come_from_landed_and_other_parts(database, monkeypatch) -> None:
    from django.db import connection

    begin(database)
    now = as_microseconds(latest_module.datetime.now(latest_module.UTC))
    rows = [(1, now, 1.0), (1, now - DAY, 9.0), (2, now - DAY, 2.0), (3, now - 40 * DAY, 3.0), (4, now + MINUTE, 4.0)]
    put(database, rows)
    landed = (Landed(now - DAY - MINUTE, now - MINUTE, 1000, now - DAY, 5),)
    for known in ((), landed, (*landed, Landed(now - MINUTE, now + DAY, 10, now, 5))):
        monkeypatch.setattr(latest_module, "landed", lambda cursor, within, known=known: known)
        with connection.cursor() as cursor:
            found = _newest_of(cursor, [1, 2, 3, 4, 5])
        assert {series: value for series, (_, value) in found.items()} == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
        assert found[3][0] == as_timestamp(now - 40 * DAY)
