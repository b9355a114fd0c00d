"""What is to be rolled up again is marked, wherever its readings lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from telemetry.database import connect
from telemetry.rollups import again
from telemetry.rollups.again import mark_range
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import marked
from telemetry.timeseries.landed import Landed
from tests.telemetry.query.rolled import begin, put

NOON, HOUR = 1_793_534_400_000_000, 3_600_000_000


@pytest.fixture
def database(platform_db: None) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    "landed", [(), ((NOON, NOON + 3 * HOUR),), ((NOON, NOON + HOUR), (NOON + 2 * HOUR, NOON + 9 * HOUR))]
)
def test_each_series_is_marked_from_its_first_to_its_last_minute(database, monkeypatch, landed) -> None:
    monkeypatch.setattr(again, "landed", lambda cursor: tuple(Landed(*each) for each in landed))
    begin(database)
    rows = [
        (1, NOON - HOUR),
        (1, NOON + 30),
        (3, NOON + HOUR),
        (4, NOON + 4 * HOUR),
        (4, NOON + 5 * HOUR),
        (5, NOON + 20 * HOUR),
    ]
    put(database, [(series, time, 1.0) for series, time in rows])
    database.execute("TRUNCATE telemetry_rollupmark")
    assert mark_range(database, [4, 1, 2, 5], NOON - 2 * HOUR, NOON + 10 * HOUR) == 2
    with database.cursor() as cursor:
        found = marked(cursor, MINUTE, [1, 2, 3, 4, 5], NOON - 2 * HOUR, NOON + 30 * HOUR)
    assert sorted(found) == [
        (1, NOON - HOUR, NOON + MINUTE.width),
        (4, NOON + 4 * HOUR, NOON + 5 * HOUR + MINUTE.width),
    ]
