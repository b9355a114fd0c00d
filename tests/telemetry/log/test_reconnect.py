"""A log server that was restarted behind an idle connection is noticed: what is told about the log is never out of date."""

from __future__ import annotations

import pytest
import redis
from django.conf import settings

from telemetry.log.entries import START, Append
from telemetry.log.redis_streams import RedisLog
from tests.servers import servers


@pytest.fixture
def log(redis_client: redis.Redis) -> RedisLog:
    return RedisLog(settings.SERVERS["redis_url"], 3.0)


def test_an_append_after_a_restart_belongs_to_the_new_run(log: RedisLog) -> None:
    (before,) = log.append([Append([(0, b"first")])])
    servers().restart("log")
    (after,) = log.append([Append([(0, b"second")])])
    assert after.segment != before.segment
    assert [entry.segment for entry in log.read(0, START, 1000).entries] == [before.segment, after.segment]


def test_a_reader_that_was_idle_during_a_restart_names_the_new_run(log: RedisLog) -> None:
    reader = RedisLog(settings.SERVERS["redis_url"], 3.0)
    before = reader.read(0, START, 1000).segment
    servers().restart("log")
    (appended,) = log.append([Append([(0, b"first")])])
    assert reader.read(0, START, 1000).segment == appended.segment != before


def test_counting_an_attempt_survives_a_restart(log: RedisLog) -> None:
    assert log.begin_attempt(0, "1-0")[0] == 1
    servers().restart("log")
    assert log.begin_attempt(0, "1-0")[0] == 2
