"""One reading is found in landed columns, with rows beside them: a plan that crashed the server with some settings."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from telemetry.database import connect
from tests.telemetry.columnar import NOON, land, skip_unless_columnar


@pytest.fixture
def connection(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as made:
        skip_unless_columnar(made)
        yield made


def test_one_reading_is_found_beside_columns_and_rows(connection: psycopg.Connection) -> None:
    land(connection, 2000)
    land(connection, 100, NOON + 3_600_000_000, columns=False)
    for second, series in ((0, 1), (19, 100), (3600, 50)):
        found = connection.execute(
            "SELECT value FROM telemetry_reading WHERE series_id = %s "
            "AND time = timestamptz '2026-11-01 12:00+00' + make_interval(secs => %s)",
            [series, second],
        ).fetchall()
        assert found == [(second % 3600 * 100 + series - 1,)]
