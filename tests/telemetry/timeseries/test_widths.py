"""How wide columnar chunks are: by what came, within bounds, and steady."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotplatform.env import config
from telemetry.database import connect
from telemetry.timeseries.engine import Range, engine_in_use
from telemetry.timeseries.widths import choose
from telemetry.upkeep import keep_ranges
from tests.telemetry.columnar import DAY, everything, land, skip_unless_columnar

HOUR = DAY // 24
WANTED = 20_000_000


@pytest.mark.parametrize(
    ("readings_a_second", "keep_days", "hours"),
    [
        (10, 0, 168),
        (100, 0, 48),
        (1000, 0, 12),
        (1000, 30, 4),
        (5000, 30, 1),
        (50_000, 30, 1),
        (50_000, 0, 12),
        (50_000, 3650, 168),
    ],
)
def test_a_chunk_holds_about_the_wanted_number_and_there_are_not_too_many(
    readings_a_second: float, keep_days: int, hours: int
) -> None:
    assert choose(HOUR, readings_a_second, WANTED, 7, keep_days) == hours * HOUR


def test_where_nothing_came_the_width_stays_within_what_is_set() -> None:
    assert choose(24 * HOUR, 0.0, WANTED, 7, 0) == 24 * HOUR
    assert choose(7 * DAY, 0.0, WANTED, 2, 0) == 2 * DAY
    assert choose(HOUR, 0.0, WANTED, 7, 0) == 12 * HOUR


@given(st.floats(0.001, 1e6), st.floats(0.9, 1.1), st.integers(1, 366), st.integers(0, 3650))
def test_it_is_steady_and_within_bounds(rate: float, wobble: float, days: int, keep_days: int) -> None:
    width = choose(24 * HOUR, rate, WANTED, days, keep_days)
    assert HOUR <= width <= days * DAY
    assert choose(width, rate, WANTED, days, keep_days) == width
    assert width <= choose(width, rate / 10, WANTED, days, keep_days)
    assert choose(width, rate * 10, WANTED, days, keep_days) <= width


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        skip_unless_columnar(connection)
        for part in ranges(connection):
            connection.execute(f"DROP TABLE {part.table}")
        connection.execute("SELECT set_chunk_time_interval('telemetry_reading', INTERVAL '1 day')")
        yield connection
        for part in ranges(connection):
            connection.execute(f"DROP TABLE {part.table}")
        connection.execute("SELECT set_chunk_time_interval('telemetry_reading', INTERVAL '1 day')")


def ranges(connection: psycopg.Connection) -> list[Range]:
    with connection.cursor() as cursor:
        return engine_in_use(cursor).ranges(cursor)


def test_ranges_ahead_become_as_narrow_as_what_comes_asks_for(db: psycopg.Connection) -> None:
    little = replace(config, columnar_chunk_rows=WANTED, raw_retention_days=30, partitions_ahead=3)
    now = int(time.time() * 1e6) // DAY * DAY + 10 * HOUR
    keep_ranges(little, now)
    assert [part.end - part.start for part in ranges(db)] == [DAY] * 4
    land(db, 36_000, now - 2 * HOUR)
    land(db, 100, now + 2 * DAY, columns=False)
    busy = replace(little, columnar_chunk_rows=10_000)
    keep_ranges(busy, now)
    kept = everything(db)
    hours = [(part.end - part.start) // HOUR for part in ranges(db)]
    # That of now, those that follow it, and the one ahead that had readings.
    assert (hours[0], hours[1:4], 24 in hours[4:]) == (24, [2] * 3, True)
    assert all(before.end <= after.start for before, after in zip(ranges(db), ranges(db)[1:], strict=False))
    assert keep_ranges(busy, now)["made"] == 0
    assert everything(db) == kept
    keep_ranges(little, now)
    assert [(part.end - part.start) // HOUR for part in ranges(db)][1] == 24


def test_a_range_ahead_that_is_being_read_is_left(db: psycopg.Connection) -> None:
    little = replace(config, columnar_chunk_rows=WANTED, raw_retention_days=30, partitions_ahead=2)
    now = int(time.time() * 1e6) // DAY * DAY + 10 * HOUR
    keep_ranges(little, now)
    land(db, 36_000, now - 2 * HOUR)
    with connect(autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM telemetry_reading")
        keep_ranges(replace(little, columnar_chunk_rows=10_000), now)
    assert [(part.end - part.start) // HOUR for part in ranges(db)] == [24, 24, 24]
