"""How often the log server is asked for what a drain reads: a drain of a steady flow waits for one round trip."""

from __future__ import annotations

import redis
from django.conf import settings

from telemetry.log.entries import START, Append
from telemetry.log.redis_streams import RedisLog


def looks(log: RedisLog, client: redis.Redis) -> int:
    """Asks for entries, of one reading."""
    client.config_resetstat()
    log.read(0, START, 1 << 20)
    return int(client.info("commandstats")["cmdstat_xrange"]["calls"])


def test_the_first_look_takes_about_as_many_entries_as_the_last_reading_found(redis_client: redis.Redis) -> None:
    log = RedisLog(settings.SERVERS["redis_url"], 3.0)
    log.append([Append([(0, b"x" * 5_000)]) for _ in range(30)])
    assert [looks(log, redis_client) for _ in range(3)] == [2, 1, 1]


def test_large_entries_are_few_at_a_time_all_the_same(redis_client: redis.Redis) -> None:
    log = RedisLog(settings.SERVERS["redis_url"], 3.0)
    log.append([Append([(0, b"x" * 100_000)]) for _ in range(64)])
    for _ in range(3):
        assert len(log.read(0, START, 1 << 20).entries) == 16
