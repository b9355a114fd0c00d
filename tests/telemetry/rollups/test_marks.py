"""What is marked is found, however many drains marked it, and whatever else they marked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.database import connect
from telemetry.rollups import marks
from telemetry.rollups.levels import HOUR, MINUTE, Level
from telemetry.rollups.marks import add_marks, marked
from telemetry.rollups.pieces import Pieces
from tests.telemetry.columnar import NOON

WIDTH = MINUTE.width
Ranges = list[tuple[int, int, int]]
RANGES = st.lists(
    st.tuples(st.sampled_from([1, 2, 3, 4, 90_000_000]), st.integers(0, 30), st.integers(1, 10)),
    min_size=1,
    max_size=30,
)


@pytest.fixture
def connection(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as made:
        yield made


def note(connection: psycopg.Connection, level: Level, drain: Ranges) -> Ranges:
    """Mark (series, minute, minutes), and answer it in µs."""
    said = sorted({(series, NOON + begin * WIDTH, NOON + (begin + many) * WIDTH) for series, begin, many in drain})
    columns = np.array(said, np.int64)
    add_marks(connection, level, Pieces(columns[:, 0].astype(np.int32), columns[:, 1], columns[:, 2]))
    return said


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drains=st.lists(st.tuples(st.sampled_from([MINUTE, HOUR]), RANGES), max_size=8),
    asked=st.sets(st.sampled_from([1, 2, 3, 5, 90_000_000]), min_size=1),
    start=st.integers(-5, 35),
    minutes=st.integers(1, 20),
    at_once=st.integers(1, 3),
    most_rows=st.sampled_from([2, 50]),
)
def test_what_is_marked_of_a_range_is_found(connection, drains, asked, start, minutes, at_once, most_rows) -> None:
    low, high = NOON + start * WIDTH, NOON + (start + minutes) * WIDTH
    connection.execute("TRUNCATE telemetry_rollupmark")
    said: list[tuple[Level, tuple[int, int, int]]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(marks, "_MARKS_AT_ONCE", at_once)
        patched.setattr(marks, "_MOST_ROWS", most_rows)
        for level, drain in drains:
            said += [(level, each) for each in note(connection, level, drain)]
        with connection.cursor() as cursor:
            for level, also in ((MINUTE, (MINUTE,)), (HOUR, (MINUTE, HOUR))):
                found = marked(cursor, level, sorted(asked), low, high)
                wanted = {
                    each for at, each in said if at in also and each[0] in asked and each[1] < high and each[2] > low
                }
                assert found == sorted(wanted)


def test_what_a_hundred_drains_said_is_found_once(connection: psycopg.Connection) -> None:
    for _ in range(2 * marks._MARKS_AT_ONCE):
        note(connection, MINUTE, [(series, 0, 1) for series in range(1, 50)])
    note(connection, MINUTE, [(7, 1, 1)])
    with connection.cursor() as cursor:
        found = marked(cursor, MINUTE, [7, 9], NOON, NOON + WIDTH * 9)
    assert found == [(7, NOON, NOON + WIDTH), (7, NOON + WIDTH, NOON + 2 * WIDTH), (9, NOON, NOON + WIDTH)]
