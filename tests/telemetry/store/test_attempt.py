"""How tries are counted: before they begin, where a crash of the worker does not undo it."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings

from telemetry.log.entries import Entry
from telemetry.log.redis_streams import RedisLog
from telemetry.store.attempt import Attempt

ENTRIES = [Entry(f"{number}-0", "segment", number, b"") for number in (1, 2, 3)]


@pytest.fixture
def log(redis_client: redis.Redis) -> RedisLog:
    return RedisLog(settings.SERVERS["redis_url"], 3.0)


def begin(log: RedisLog, position: str = "0-0", most: int = 2) -> tuple[Attempt, list[Entry]]:
    attempt = Attempt(log, 0, position, most)
    after = int(position.partition("-")[0])
    return attempt, attempt.begin(ENTRIES[after:])


def test_at_first_all_entries_are_taken_then_one_by_one(log: RedisLog) -> None:
    assert [len(begin(log)[1]) for _ in range(3)] == [3, 3, 1]


def test_only_an_entry_alone_is_ever_given_up(log: RedisLog) -> None:
    verdicts = [begin(log)[0].failed() for _ in range(4)]
    assert verdicts == [False, False, False, True]
    assert begin(log)[0].is_hopeless


def test_the_entries_behind_are_taken_alone_up_to_the_last_of_the_failed_look(log: RedisLog) -> None:
    for _ in range(4):
        begin(log)
    assert len(begin(log, "1-0")[1]) == len(begin(log, "2-0")[1]) == 1
    assert begin(log, "3-0")[1] == []


def test_a_forgotten_try_does_not_count(log: RedisLog) -> None:
    for _ in range(10):
        attempt, entries = begin(log)
        assert len(entries) == 3
        attempt.forget()


def test_a_try_that_is_withdrawn_leaves_those_of_others(log: RedisLog) -> None:
    begin(log)
    for _ in range(10):
        begin(log)[0].withdraw()
    assert len(begin(log)[1]) == 3
    assert len(begin(log)[1]) == 1


def test_nothing_is_counted_where_there_is_nothing_to_take(log: RedisLog, redis_client: redis.Redis) -> None:
    Attempt(log, 0, "0-0", 2).begin([])
    assert not redis_client.exists("log:0:attempts")
