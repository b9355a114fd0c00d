"""Judging has a position of its own: where it fails, readings are stored all the same and judged later, in order."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.iotplatform.pipeline.parts import (
    NOON,
    Clock,
    Remembering,
    Source,
    counts,
    drain_to_end,
    new_drain,
    position,
    table,
    undecodable,
    waiting_in_log,
)
from thresholds.judge import NoThresholds


def ids(source: Source) -> list[str]:
    return [receipt.entries[0].id for receipt in source.receipts]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad rule"),
        psycopg.errors.QueryCanceled("statement timeout"),
        psycopg.errors.UndefinedTable("no table"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_readings_are_stored_while_judging_fails_and_judged_in_order_afterwards(
    source: Source, error: Exception
) -> None:
    judge = Remembering()
    drain = new_drain(judge=judge)
    list(source.numbers(2))
    drain_to_end(drain)
    judge.failing = error
    for number in range(2, 5):
        list(source.numbers(1, start=number))
        drain_to_end(drain)
    assert table() == source.expected()
    assert {counts(receipt)[0] for receipt in source.receipts} == {"stored"}
    assert position().judged == ids(source)[1]
    judge.failing = None
    list(source.numbers(1, start=5))
    drain_to_end(drain)
    assert judge.seen == ids(source)
    assert position().judged == position().stored == ids(source)[-1]


def test_it_catches_up_without_new_readings_too(source: Source) -> None:
    judge = Remembering()
    judge.failing = ValueError("bad rule")
    list(source.numbers(3))
    drain_to_end(new_drain(judge=judge))
    judge.failing = None
    drain_to_end(new_drain(judge=judge))
    assert judge.seen == ids(source)


def test_a_failing_judges_own_writes_are_taken_back(source: Source) -> None:
    class Writing(Remembering):
        def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
            connection.execute("UPDATE telemetry_shardposition SET stored_readings = 4711")
            super().judge(connection, shard, chunk, before)

    judge = Writing()
    judge.failing = ValueError("bad rule")
    list(source.numbers(1))
    drain_to_end(new_drain(judge=judge))
    with new_drain()._connect() as connection:
        stored = connection.execute("SELECT sum(stored_readings) FROM telemetry_shardposition").fetchone()
    assert stored == (1,)


def test_a_connection_lost_while_judging_stores_nothing(source: Source) -> None:
    class Cutting(Remembering):
        def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
            if self.failing is None:
                self.failing = ValueError()
                connection.close()
            connection.execute("SELECT 1")

    list(source.numbers(1))
    drain = new_drain(judge=Cutting())
    with pytest.raises(psycopg.OperationalError):
        drain.drain()
    assert table() == {}
    drain_to_end(drain)
    assert table() == source.expected()


def test_judging_finds_what_it_needs_by_index(source: Source) -> None:
    seen: list[Any] = []

    class Looking(NoThresholds):
        def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
            seen.append(connection.execute("SHOW enable_seqscan").fetchone())

    drain = new_drain(judge=Looking())
    source.send((0, 0, 1.0))
    drain_to_end(drain)
    assert seen == [("off",)]
    assert drain._connected().execute("SHOW enable_seqscan").fetchone() == ("on",)


def test_what_is_not_judged_yet_is_not_trimmed(source: Source) -> None:
    clock, judge = Clock(), Remembering()
    drain = new_drain(judge=judge, clock=clock, log_keep_seconds=60)
    list(source.numbers(1))
    drain_to_end(drain)
    judge.failing = ValueError("bad rule")
    list(source.numbers(2, start=1))
    drain_to_end(drain)
    clock.now += 1000
    drain_to_end(drain)
    assert [entry.id for entry in waiting_in_log()] == ids(source)[1:]
    judge.failing = None
    drain_to_end(drain)
    clock.now += 1
    drain_to_end(drain)
    assert waiting_in_log() == []
    assert judge.seen == ids(source)


def test_beyond_its_bound_a_range_is_left_unjudged_and_said_so(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    judge = Remembering()
    judge.failing = ValueError("bad rule")
    drain = new_drain(judge=judge, log_max_bytes=500)
    for number in range(5):
        list(source.numbers(1, start=number))
        drain_to_end(drain)
    assert "range_left_unjudged" in caplog.text
    assert position().judged >= ids(source)[2]
    judge.failing = None
    list(source.numbers(1, start=5))
    drain_to_end(drain)
    assert position().judged == position().stored
    assert judge.seen[-1] == ids(source)[-1]


def test_an_entry_that_was_set_aside_does_not_hold_up_or_blame_those_behind_it(source: Source) -> None:
    judge = Remembering()
    judge.failing = ValueError("bad rule")
    drain = new_drain(judge=judge)
    before = source.send((0, 0, 1.0))
    poison = source.send_bytes(undecodable())
    behind = source.send((0, 1, 2.0))
    drain_to_end(drain)
    judge.failing = None
    later = source.send((0, 2, 3.0))
    drain_to_end(drain)
    assert judge.seen == [receipt.entries[0].id for receipt in (before, behind, later)]
    assert {counts(receipt) for receipt in (before, behind, later)} == {("stored", 1, 0, 0, 0)}
    assert counts(poison) == ("stored", 0, 0, 0, 1)
    assert len(table()) == 3


def test_the_judge_sees_what_was_accepted_in_log_order_repeats_included(source: Source) -> None:
    seen: list[tuple[int, float]] = []

    class Listing(NoThresholds):
        def judge(self, connection: psycopg.Connection[Any], shard: int, chunk: Any, before: Any) -> None:
            seen.extend(zip((chunk.batch.times - NOON).tolist(), chunk.batch.values.tolist(), strict=True))

    source.send((0, 5, 1.0), (0, 3, 2.0))
    source.send((0, 5, 9.0))
    drain_to_end(new_drain(judge=Listing()))
    assert seen == [(5, 1.0), (3, 2.0), (5, 9.0)]
