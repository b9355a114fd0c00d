"""What is known of landed ranges, and event time cut by it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.database import connect
from telemetry.timeseries import landed as landed_module
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.engine import engine_in_use
from telemetry.timeseries.landed import Landed, landed, parts
from tests.telemetry.columnar import DAY, NOON, land, skip_unless_columnar


@pytest.fixture
def connection(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as made:
        yield made


def test_nothing_is_landed_in_an_empty_table(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        assert landed(cursor) == ()


def test_a_chunk_is_landed_until_it_is_sorted(connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landed_module, "_ends", {})
    skip_unless_columnar(connection)
    land(connection, 3000)
    land(connection, 3000, NOON - 30 * DAY, columns=False)
    with connection.cursor() as cursor:
        (found,) = landed(cursor)
        assert found.low <= NOON < found.high and found.since == NOON and found.series == 100
        chunks = engine_in_use(cursor).unsorted(cursor, NOON + 30 * DAY)
        for chunk in chunks:
            assert compact(lambda: connect(autocommit=True), chunk, 5.0) == "done"
        assert landed(cursor, within=60.0) == (found,), "an answer that old will do"
        assert landed(cursor) == ()


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20)), max_size=6),
    st.integers(0, 110),
    st.integers(0, 110),
)
def test_time_is_cut_without_gap_newest_first(ranges, low: int, high: int) -> None:
    known, end = [], 0
    for gap, width in ranges:
        known.append(Landed(end + gap, end + gap + width))
        end += gap + width
    cut = parts(known, low, high)
    assert [part.low for part in cut[:-1]] == [part.high for part in cut[1:]]
    assert all(part.low < part.high for part in cut)
    if low < high:
        assert (cut[0].high, cut[-1].low) == (high, low)
    for part in cut:
        inside = [each for each in known if each.low < part.high and part.low < each.high]
        assert inside == ([part.landed] if part.landed else [])


def test_the_rate_is_that_of_the_time_in_which_there_are_readings() -> None:
    assert Landed(0, DAY, 36_000, DAY // 2, 10).rows_a_second(DAY // 2 + 3_600_000_000) == 10
    assert Landed(0, DAY, 36_000, DAY - 3_600_000_000, 10).rows_a_second(9 * DAY) == 10
