"""Rollups, over every engine and loader: they equal a recomputation, also after late readings into compressed ranges."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.rollups.levels import LEVELS, MINUTE
from telemetry.rollups.marks import mark, marked
from telemetry.rollups.refresh import refresh
from telemetry.store.write import write
from telemetry.timeseries.engine import as_microseconds, as_timestamp
from tests.contracts.stores import DAY, NOON, Row, Store, batch_of
from tests.telemetry.rollups.readings import assert_buckets_equal, recomputed

pytestmark = pytest.mark.storage

HOUR = DAY // 24


@pytest.fixture
def rollups(store: Store) -> Iterator[Store]:
    """A store with empty rollups; its readings are marked as they are stored."""
    with store.connection.cursor() as cursor:
        for level in LEVELS:
            store.engine.create_rollup(cursor, level.table, level.width, level.percentiles)
        cursor.execute(
            "CREATE TABLE telemetry_rollupmark (id bigserial PRIMARY KEY, "
            "level text DEFAULT 'minute', low timestamptz, "
            "high timestamptz, first_series integer, last_series integer, members bytea, newest timestamptz, series integer[], "
            "lows timestamptz[], highs timestamptz[], "
            "at timestamptz DEFAULT now())"
        )
        cursor.execute("CREATE TABLE telemetry_rollupstate (id int, rolled_upto timestamptz, refreshed_at timestamptz)")
        cursor.execute("INSERT INTO telemetry_rollupstate VALUES (1, '1970-01-01Z', NULL)")
    yield store
    for table in (*(level.table for level in LEVELS), "telemetry_rollupmark", "telemetry_rollupstate"):
        store.connection.execute(f"DROP TABLE {table}")


def send(store: Store, rows: list[Row]) -> None:
    batch = batch_of(rows)
    with store.connection.cursor() as cursor:
        store.coverage.ensure(cursor, batch.times)
    with store.connection.transaction():
        written = write(store.connection, batch, store.frontier, store.loader).written
        mark(store.connection, written)
    store.frontier.advance(written)


def assert_rolled_up(store: Store, upto: int) -> None:
    rows = sorted((series, time, value) for (series, time), value in store.table().items())
    for level in LEVELS:
        with store.connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {level.table}")
            names = [column.name for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        by_bucket: dict[Any, Any] = {(row.pop("series_id"), as_microseconds(row.pop("time"))): row for row in found}
        assert_buckets_equal(by_bucket, recomputed(rows, level, level.floor(upto)), level)


def test_rollups_equal_a_recomputation(rollups: Store) -> None:
    rng = random.Random(11)
    for _ in range(3):
        send(rollups, [(rng.randrange(1, 5), NOON + rng.randrange(3 * DAY), rng.gauss(20, 5)) for _ in range(300)])
        assert refresh(rollups.connection, NOON + 2 * DAY).complete
        assert_rolled_up(rollups, NOON + 2 * DAY)
    refresh(rollups.connection, NOON + 5 * DAY)
    assert_rolled_up(rollups, NOON + 5 * DAY)


def test_a_late_reading_into_a_compressed_range_corrects_its_buckets(rollups: Store) -> None:
    send(rollups, [(series, NOON + hour * HOUR, float(hour)) for series in (1, 2) for hour in range(48)])
    refresh(rollups.connection, NOON + 3 * DAY)
    with rollups.connection.cursor() as cursor:
        for table in ("telemetry_reading", *(level.table for level in LEVELS)):
            rollups.engine.compress_before(cursor, NOON + 60 * DAY, table)
    send(rollups, [(1, NOON + 5 * HOUR + 1, 100.0), (3, NOON + 6 * HOUR, 7.0)])
    with rollups.connection.cursor() as cursor:
        cursor.execute("SELECT rolled_upto FROM telemetry_rollupstate")
        assert cursor.fetchone() == (as_timestamp(NOON + 3 * DAY),)
        assert marked(cursor, MINUTE, [1], NOON, NOON + 3 * DAY) == [
            (1, NOON + 5 * HOUR, NOON + 5 * HOUR + MINUTE.width)
        ]
    done = refresh(rollups.connection, NOON + 3 * DAY)
    assert (done.complete, done.buckets) == (True, 6)
    assert_rolled_up(rollups, NOON + 3 * DAY)


def test_a_range_that_is_partly_compressed_is_made_again_whole(rollups: Store) -> None:
    width = 7 * DAY
    edge = NOON - NOON % width + width
    send(rollups, [(1, edge + step * HOUR // 2, float(step)) for step in range(-20, 20)])
    refresh(rollups.connection, edge + DAY)
    with rollups.connection.cursor() as cursor:
        for level in LEVELS:
            rollups.engine.compress_before(cursor, edge, level.table)
    send(rollups, [(1, edge + step * HOUR // 2 + 1, 5.0) for step in range(-15, 15)])
    refresh(rollups.connection, edge + DAY)
    assert_rolled_up(rollups, edge + DAY)
