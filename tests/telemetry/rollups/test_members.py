"""A set of series says the same as bits, as numbers, to the server and here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.binary_arrays import int4_array
from telemetry.database import connect
from telemetry.rollups.levels import MINUTE
from telemetry.rollups.marks import add_marks, marked
from telemetry.rollups.members import NAMES_ONE_OF, bits_of, series_of
from telemetry.rollups.pieces import Pieces
from tests.telemetry.columnar import NOON

WIDTH = MINUTE.width
NEAR = st.sets(st.integers(1, 90), min_size=1)
FAR = st.sets(st.sampled_from([1, 7, 8, 9, 4_000, 90_000_000, 2**31 - 1]), min_size=1)


@pytest.fixture
def connection(platform_db: None) -> Iterator[psycopg.Connection[Any]]:
    with connect(autocommit=True) as made:
        yield made


def ascending(numbers: set[int]) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(sorted(numbers), np.int32)


def add(connection: psycopg.Connection[Any], numbers: set[int]) -> None:
    ones = np.ones(len(numbers), np.int64)
    add_marks(connection, MINUTE, Pieces(ascending(numbers), NOON * ones, (NOON + WIDTH) * ones))


@given(st.lists(st.one_of(NEAR, NEAR.map(lambda each: {8 * number for number in each}), FAR), min_size=1, max_size=5))
def test_sets_are_united(sets) -> None:
    packed = [(min(each), bits_of(ascending(each))) for each in sets]
    known = [(first, bits, each) for (first, bits), each in zip(packed, sets, strict=True) if bits is not None]
    if known:
        found = series_of([(first, bits) for first, bits, _ in known])
        assert found.tolist() == sorted(set().union(*(each for _, _, each in known)))


@given(st.one_of(NEAR, FAR))
def test_bits_never_take_more_than_numbers(numbers) -> None:
    bits = bits_of(ascending(numbers))
    assert bits is None or len(bits) <= 4 * len(numbers)
    assert bits is not None or max(numbers) - min(numbers) > 24 * len(numbers)


def test_sets_from_both_ends_of_a_large_fleet_take_little() -> None:
    packed = bits_of(ascending({1, 2}))
    assert packed is not None
    assert series_of([(1, packed), (2**31 - 7, packed)]).tolist() == [1, 2, 2**31 - 7, 2**31 - 6]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noted=st.one_of(NEAR, FAR), asked=st.one_of(NEAR, FAR))
def test_the_server_finds_the_same(connection, noted, asked) -> None:
    connection.execute("TRUNCATE telemetry_rollupmark")
    add(connection, noted)
    with connection.cursor() as cursor:
        assert {series for series, _, _ in marked(cursor, MINUTE, sorted(asked), NOON, NOON + WIDTH)} == noted & asked
        named = [int4_array(ascending(asked))] * 2
        cursor.execute(f"SELECT {NAMES_ONE_OF} FROM telemetry_rollupmark AS m", named)
        row = cursor.fetchone()
    assert row is not None
    assert bool(row[0]) == bool(noted & asked)


def test_a_fleet_is_marked_in_bits_and_the_way_back_keeps_it(connection) -> None:
    fleet = set(range(3, 5_000, 2))
    add(connection, fleet)
    add(connection, {1, 4_000_000})
    with connection.cursor() as cursor:
        before = marked(cursor, MINUTE, sorted(fleet), NOON, NOON + WIDTH)
        cursor.execute("SELECT max(octet_length(members)) FROM telemetry_rollupmark")
        assert cursor.fetchone() == (625,)
    try:
        call_command("migrate", "telemetry", "0010", verbosity=0)
        row = connection.execute("SELECT series FROM telemetry_rollupmark ORDER BY id LIMIT 1").fetchone()
        assert row is not None
        assert set(row[0]) == fleet
    finally:
        call_command("migrate", "telemetry", verbosity=0)
    with connection.cursor() as cursor:
        assert marked(cursor, MINUTE, sorted(fleet), NOON, NOON + WIDTH) == before
