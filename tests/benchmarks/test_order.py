"""The checks of order find readings that stand, or were committed, before older ones of their own series."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import redis
from django.conf import settings

from benchmarks.load.result import LostReading
from benchmarks.machine.order import check_commits, check_log, out_of_order
from telemetry.database import connect
from tests.builders import make_device, make_key, post_readings


@pytest.mark.parametrize(
    ("series", "times", "wrong"),
    [
        ([], [], 0),
        ([1, 2, 1, 2], [10, 5, 11, 6], 0),
        ([1, 2, 1, 2], [10, 5, 9, 6], 1),
        ([1, 1, 1], [10, 10, 11], 1),
        ([7, 3, 7, 3, 7], [5, 9, 4, 8, 3], 3),
    ],
)
def test_a_series_must_rise(series: list[int], times: list[int], wrong: int) -> None:
    assert out_of_order(np.array(series, np.int32), np.array(times, np.int64)) == wrong


NOW = int(time.time() * 1000)


def send(key: str, *seconds: int) -> None:
    """A reading of three devices in each of these seconds before now, a request each."""
    for second in seconds:
        body = [{"device": f"order-{n}", "time": NOW - second * 1000, "metrics": {"flow": 1.5}} for n in range(3)]
        assert post_readings(key, body).status_code == 202


@pytest.fixture
def fleet(platform_db: None) -> str:
    """Three devices; a key for them."""
    for number in range(3):
        make_device(f"order-{number}")
    return make_key()


def check(redis_client: redis.Redis, readings: int) -> None:
    with connect(autocommit=True) as connection:
        check_log(redis_client, settings.PLATFORM.shards, connection, NOW - 60_000, readings)
        check_commits(connection)


def test_what_came_in_order_is_in_order(fleet: str, drain: Callable[[], int], redis_client: redis.Redis) -> None:
    send(fleet, 9, 8)
    drain()
    send(fleet, 7, 6)
    drain()
    check(redis_client, 12)


def test_a_reading_that_the_log_has_before_an_older_one(fleet: str, redis_client: redis.Redis) -> None:
    send(fleet, 9, 7, 8)
    with pytest.raises(LostReading, match=r"in shard \d of the log 1 readings stand before older ones"):
        check(redis_client, 9)


def test_a_reading_that_was_committed_before_an_older_one(
    fleet: str, drain: Callable[[], int], redis_client: redis.Redis
) -> None:
    send(fleet, 7)
    drain()
    send(fleet, 9)
    drain()
    with connect(autocommit=True) as connection, pytest.raises(LostReading, match="3 readings were committed after"):
        check_commits(connection)


def test_a_reading_that_the_log_has_not(fleet: str, redis_client: redis.Redis) -> None:
    send(fleet, 9)
    with pytest.raises(LostReading, match="4 readings were accepted, the log has 3 of them"):
        check(redis_client, 4)
