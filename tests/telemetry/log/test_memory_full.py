"""What drains need of the log goes on while its memory is full: it is what frees it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from iotplatform.launcher.servers import EmbeddedServers
from telemetry.last_seen import LastSeen
from telemetry.log import keys
from telemetry.log.entries import START, Append, Appended, LogFull
from telemetry.log.redis_streams import RedisLog

_ENTRIES = 5


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServers]:
    with (
        tempfile.TemporaryDirectory(prefix="full-", dir="/tmp") as folder,
        EmbeddedServers(Path(folder), postgres=False, cache=False) as servers,
    ):
        yield servers


@pytest.fixture
def client(server: EmbeddedServers) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.redis_url) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        yield client


@pytest.fixture
def full(server: EmbeddedServers, client: redis.Redis) -> RedisLog:
    """A log with some entries and no memory left."""
    log = RedisLog(server.redis_url, 3.0)
    for _ in range(_ENTRIES):
        (answer,) = log.append([Append([(0, b"payload")])])
        assert isinstance(answer, Appended)
    client.set(keys.drain_flag(0), "1")
    client.config_set("maxmemory", 1024)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("anything", "x")
    return log


def test_nothing_more_is_taken(full: RedisLog) -> None:
    with pytest.raises(LogFull):
        full.append([Append([(0, b"payload")])])


def test_a_drain_announces_itself_reads_and_trims(full: RedisLog, client: redis.Redis) -> None:
    full.announce(0, "drain1", 15)
    assert not client.exists(keys.drain_flag(0))
    assert 0 < client.ttl(keys.worker("drain1")) <= 15
    reading = full.read(0, START, 1 << 20)
    assert len(reading.entries) == _ENTRIES
    full.trim(0, reading.entries[-1].id, 1)
    assert full.length(0) == 0


def test_attempts_are_counted_and_taken_back(full: RedisLog, client: redis.Redis) -> None:
    assert full.begin_attempt(0, "1-0")[0] == 1
    assert full.begin_attempt(0, "1-0")[0] == 2
    full.withdraw_attempt(0, "1-0")
    assert client.hget(keys.attempts(0), "1-0") == b"1"
    full.withdraw_attempt(0, "1-0", "never begun")
    assert not client.exists(keys.attempts(0))
    full.take_singly(0, "2-0")
    assert full.begin_attempt(0, "1-0") == (1, "2-0")


def test_when_devices_last_spoke_is_told_once_there_is_memory(full: RedisLog, client: redis.Redis) -> None:
    seen = LastSeen()
    seen._newest[7], seen._waiting = np.int64(1_700_000_000_000_000), True
    seen.hand_over(full, 0.0)
    assert not client.exists(keys.LAST_SEEN)
    client.config_set("maxmemory", 0)
    seen.hand_over(full, 10.0)
    assert client.hgetall(keys.LAST_SEEN) == {b"7": b"1700000000000000"}
