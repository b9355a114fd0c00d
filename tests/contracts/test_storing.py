"""Storing, over every engine and loader: each reading once, the first value wins, and the counts say what happened."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from telemetry.store.frontier import Frontier
from telemetry.store.loaders import can_copy
from tests.contracts.stores import DAY, NOON, Store, counted

pytestmark = pytest.mark.storage


def test_readings_are_stored_as_they_came(store: Store) -> None:
    assert counted(store.drain((2, NOON, 1.5), (1, NOON + 1, 2.5), (1, NOON, 3.5))) == (3, 0, 0)
    assert store.table() == {(2, NOON): 1.5, (1, NOON + 1): 2.5, (1, NOON): 3.5}


def test_the_first_value_wins_within_a_batch(store: Store) -> None:
    stored = store.drain((1, NOON, 1.0), (2, NOON, 5.0), (1, NOON, 1.0), (1, NOON, 2.0))
    assert stored.duplicate.tolist() == [False, False, True, True]
    assert stored.conflict.tolist() == [False, False, False, True]
    assert store.table() == {(1, NOON): 1.0, (2, NOON): 5.0}


def test_the_first_value_wins_against_the_table(store: Store) -> None:
    store.drain((1, NOON, 1.0))
    stored = store.drain((1, NOON, 1.0), (1, NOON, 9.0), (1, NOON + 1, 2.0))
    assert stored.duplicate.tolist() == [True, True, False]
    assert stored.conflict.tolist() == [False, True, False]
    assert store.table() == {(1, NOON): 1.0, (1, NOON + 1): 2.0}


def test_every_repeat_is_compared_with_the_stored_value_not_with_each_other(store: Store) -> None:
    store.drain((1, NOON, 1.0))
    stored = store.drain((1, NOON, 2.0), (1, NOON, 2.0), (1, NOON, 1.0))
    assert stored.conflict.tolist() == [True, True, False]


def test_late_readings_are_stored_and_known_as_late(store: Store) -> None:
    store.drain((1, NOON, 1.0), (2, NOON, 1.0))
    stored = store.drain((1, NOON - 5, 2.0), (2, NOON + 5, 3.0), (1, NOON - 20 * DAY, 4.0))
    assert counted(stored) == (3, 0, 0)
    assert stored.late.tolist() == [True, False, True]
    assert len(store.table()) == 5


@pytest.mark.parametrize("begin", ["nothing", "checkpoint", "old checkpoint"])
def test_another_process_knows_what_is_stored(store: Store, begin: str) -> None:
    store.drain((1, NOON, 1.0), (2, NOON, 1.0))
    old = store.frontier.checkpoint()
    store.drain((1, NOON + 10, 2.0), (3, NOON, 3.0))
    store.take_over({"nothing": None, "checkpoint": store.frontier.checkpoint(), "old checkpoint": old}[begin])
    stored = store.drain((1, NOON + 10, 2.0), (1, NOON + 5, 4.0), (2, NOON, 1.5), (3, NOON, 3.0), (4, NOON, 5.0))
    assert stored.duplicate.tolist() == [True, False, True, True, False]
    assert stored.conflict.tolist() == [False, False, True, False, False]
    assert stored.late.tolist() == [True, True, True, True, False]


def test_the_frontier_alone_tells_what_is_new(store: Store) -> None:
    """Where rows are copied and no index is unique, nothing else keeps a repeat out: nothing may be stored twice."""
    if store.copy:
        store.connection.execute("DROP INDEX telemetry_reading_series_time")
        store.connection.execute("CREATE INDEX telemetry_reading_lookup ON telemetry_reading (series_id, time)")
    for with_checkpoint in (True, False):
        store.drain((1, NOON, 1.0), (2, NOON, 1.0))
        saved = store.frontier.checkpoint() if with_checkpoint else None
        store.drain((1, NOON + 10, 1.0), (1, NOON - 10, 1.0))
        store.take_over(saved)
        store.drain((1, NOON, 1.0), (1, NOON + 10, 1.0), (1, NOON - 10, 1.0), (2, NOON, 1.0))
    assert len(store.table()) == 4


def test_the_index_catches_what_the_frontier_does_not_know(store: Store) -> None:
    """Rows that came in behind the drain's back, against all rules, cost a fallback, not a double."""
    if not store.engine.refuses_repeats:
        pytest.skip("there is no such index")
    store.drain((1, NOON, 1.0))
    replace(store, frontier=Frontier()).drain((1, NOON + 5, 2.0))
    stored = store.drain((1, NOON + 5, 7.0), (1, NOON + 6, 3.0), (2, NOON + 5, 4.0))
    assert stored.duplicate.tolist() == [True, False, False]
    assert stored.conflict.tolist() == [True, False, False]
    assert store.table() == {(1, NOON): 1.0, (1, NOON + 5): 2.0, (1, NOON + 6): 3.0, (2, NOON + 5): 4.0}


def test_a_batch_that_is_rolled_back_leaves_nothing(store: Store) -> None:
    store.drain((1, NOON, 1.0))
    with pytest.raises(ZeroDivisionError), store.connection.transaction():
        store.drain((1, NOON + 1, 2.0))
        raise ZeroDivisionError
    store.take_over()
    assert counted(store.drain((1, NOON + 1, 2.0))) == (1, 0, 0)


def test_values_come_back_bit_by_bit(store: Store) -> None:
    values = [0.0, -0.0, 1e100, -1e100, sys.float_info.min, 5e-324, -5e-324, 0.1, 1 / 3, sys.float_info.epsilon]
    store.drain(*((1, NOON + place, value) for place, value in enumerate(values)))
    assert [value.hex() for _, value in sorted(store.table().items())] == [value.hex() for value in values]


def test_times_come_back_to_the_microsecond(store: Store) -> None:
    times = [0, 1, 999_999, 946_684_799_999_999, 978_307_200_000_001, NOON + 123_457, 4_102_444_799_999_999]
    store.drain(*((1, at, 1.0) for at in times))
    assert sorted(at for _, at in store.table()) == times
    store.take_over()
    assert counted(store.drain(*((1, at, 1.0) for at in times))) == (0, len(times), 0)


def test_ten_thousand_rows_at_once(store: Store) -> None:
    rows = [(series, NOON + 1000 * at, float(series * at)) for at in range(100) for series in range(1, 101)]
    assert counted(store.drain(*rows)) == (10_000, 0, 0)
    assert counted(store.drain(*rows)) == (0, 10_000, 0)


def test_an_empty_batch_is_nothing(store: Store) -> None:
    assert counted(store.drain()) == (0, 0, 0)


def test_the_server_is_asked_whether_it_can_copy(store: Store) -> None:
    in_wasm = "Emscripten" in store.connection.execute("SELECT version()").fetchone()[0]
    assert can_copy(store.connection) != in_wasm
