"""What is left of deleted devices goes, at once or when its chunk is sorted, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from telemetry import purge
from telemetry.database import connect
from telemetry.purge import purge_deleted
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.engine import engine_in_use
from telemetry.timeseries.landed import Landed
from tests.telemetry.columnar import land, skip_unless_columnar, status
from tests.telemetry.query.rolled import begin, put, roll_up

DAY, MINUTE = 86_400_000_000, 60_000_000
NOON = 1_793_534_400_000_000


@pytest.fixture
def database(platform_db: None) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as connection:
        begin(connection)
        put(connection, [(series, NOON + n * MINUTE, float(n)) for series in (1, 2, 3) for n in range(-50, 50)])
        roll_up(connection, NOON + DAY)
        connection.execute("INSERT INTO telemetry_purgedseries (series_id, requested_at) VALUES (1, now()), (3, now())")
        yield connection


def left(connection: psycopg.Connection[Any], series: int) -> tuple[int, int, int]:
    """(readings, minutes, whether it still waits)."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM telemetry_reading WHERE series_id = %(s)s), "
        "(SELECT count(*) FROM telemetry_rollup_minute WHERE series_id = %(s)s), "
        "(SELECT count(*) FROM telemetry_purgedseries WHERE series_id = %(s)s)",
        {"s": series},
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("at_once", [7, 100, 20_000])
def test_readings_and_rollups_of_deleted_series_go(database, monkeypatch, at_once: int) -> None:
    monkeypatch.setattr(purge, "_ROWS_AT_ONCE", at_once)
    assert purge_deleted() == 200
    assert [left(database, series) for series in (1, 2, 3)] == [(0, 0, 0), (100, 100, 0), (0, 0, 0)]
    assert purge_deleted() == 0


def test_what_is_landed_waits_until_it_is_sorted(database, monkeypatch) -> None:
    ranges = [Landed(NOON, NOON + DAY, 1000, NOON, 3)]
    monkeypatch.setattr(purge, "landed", lambda cursor: tuple(ranges))
    database.execute("DELETE FROM telemetry_reading WHERE series_id = 3 AND time >= '2026-11-01 12:00+00'")
    assert purge_deleted(NOON + DAY) == 100
    assert [left(database, series) for series in (1, 2, 3)] == [(50, 100, 1), (100, 100, 0), (0, 0, 0)]
    ranges.clear()
    assert purge_deleted(NOON + DAY) == 50
    assert left(database, 1) == (0, 0, 0)


def test_a_chunk_that_is_never_sorted_keeps_no_deleted_device(database, monkeypatch) -> None:
    monkeypatch.setattr(purge, "landed", lambda cursor: (Landed(NOON, NOON + DAY, 1000, NOON, 3),))
    assert purge_deleted(NOON + 9 * DAY) == 200


def test_landed_columns_stay_as_they_are(database) -> None:
    skip_unless_columnar(database)
    database.execute("TRUNCATE telemetry_reading")
    land(database, 3000)
    before = status(database)
    assert purge_deleted(NOON + DAY) == 0 and left(database, 1)[2] == 1
    assert status(database) == before
    with database.cursor() as cursor:
        (chunk,) = engine_in_use(cursor).unsorted(cursor, NOON + 30 * DAY)
    assert compact(lambda: connect(autocommit=True), chunk, 5.0) == "done"
    assert purge_deleted(NOON + DAY) == 60
    assert (left(database, 1)[0], left(database, 2)[0]) == (0, 30)
