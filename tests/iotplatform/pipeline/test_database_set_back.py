"""The database fails over to a copy of itself some seconds old: what it lost is in the log still, and is stored again."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.iotplatform.pipeline.parts import (
    Clock,
    Source,
    counts,
    drain_to_end,
    drains_connection,
    new_drain,
    position,
    table,
    waiting_in_log,
)

_TABLES = (
    "telemetry_reading",
    "telemetry_shardposition",
    "telemetry_frontiercheckpoint",
    "telemetry_receiptoutcome",
    "telemetry_logsegment",
)


class Copy:
    """The tables that drains write, as they are now."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] = drains_connection()
        for name in _TABLES:
            self._connection.execute(f"CREATE TEMP TABLE kept_{name} AS TABLE {name}")

    def put_back(self) -> None:
        with self._connection, self._connection.transaction():
            for name in _TABLES:
                self._connection.execute(f"DELETE FROM {name}")
                self._connection.execute(f"INSERT INTO {name} TABLE kept_{name}")


@pytest.mark.parametrize("fresh", [False, True], ids=["the same process", "another process"])
def test_what_the_copy_does_not_have_is_stored_again(source: Source, fresh: bool) -> None:
    warm = new_drain()
    list(source.numbers(2))
    drain_to_end(warm)
    copy = Copy()
    list(source.numbers(3, start=2))
    source.send((0, 0, 9.0), (1, 0, 1.0))
    drain_to_end(warm)
    copy.put_back()
    lost_by_copy = source.receipts[2:]
    assert "stored" not in [counts(receipt)[0] for receipt in lost_by_copy]
    later = source.send((0, 99, 1.0))
    drain_to_end(new_drain() if fresh else warm)
    assert table() == source.expected()
    assert [counts(receipt) for receipt in source.receipts[:5]] == [("stored", 1, 0, 0, 0)] * 5
    assert counts(source.receipts[5]) == ("stored", 1, 1, 1, 0)
    assert counts(later) == ("stored", 1, 0, 0, 0)


def test_it_is_noticed_without_new_readings_before_the_log_is_trimmed(source: Source) -> None:
    clock = Clock()
    drain = new_drain(clock=clock, log_keep_seconds=60)
    copy = Copy()
    list(source.numbers(3))
    drain_to_end(drain)
    copy.put_back()
    for _ in range(4):
        clock.now += 5
        drain_to_end(drain)
    assert table() == source.expected()
    assert position().stored == source.receipts[-1].entries[0].id


def test_entries_are_kept_as_long_as_is_promised_and_no_longer(source: Source) -> None:
    clock = Clock()
    drain = new_drain(clock=clock, log_keep_seconds=60)
    list(source.numbers(2))
    drain_to_end(drain)
    clock.now += 59
    drain_to_end(drain)
    assert len(waiting_in_log()) == 2
    clock.now += 2
    drain_to_end(drain)
    assert waiting_in_log() == []
    list(source.numbers(1, start=2))
    drain_to_end(drain)
    assert table() == source.expected()


def test_set_back_while_entries_of_it_fall_due_keeps_what_is_not_stored_again(source: Source) -> None:
    """What was committed long ago, before the copy took over, is not trimmed until it is stored in the copy."""
    clock = Clock()
    drain = new_drain(clock=clock, log_keep_seconds=60, drain_max_rows=1)
    copy = Copy()
    list(source.numbers(3))
    drain_to_end(drain)
    copy.put_back()
    clock.now += 100
    drain.close()
    drain.drain()
    assert len(waiting_in_log()) >= 2
    drain_to_end(drain)
    assert table() == source.expected()


def test_set_back_further_than_the_log_is_kept_is_reported(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    list(source.numbers(1))
    drain_to_end()
    copy = Copy()
    clock = Clock()
    drain = new_drain(clock=clock, log_keep_seconds=0)
    list(source.numbers(2, start=1))
    drain_to_end(drain)
    assert waiting_in_log() == []
    copy.put_back()
    list(source.numbers(1, start=3))
    drain_to_end()
    assert "stored_readings_are_gone" in caplog.text
