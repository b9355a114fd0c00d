"""What every log promises: whole requests in order, all or none, bounded, each idempotency key once, and honest errors."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings

from telemetry.log.depth import depths
from telemetry.log.entries import (
    START,
    Append,
    Appended,
    LayoutChanged,
    LogDown,
    LogFull,
    TooManyIdempotencyKeys,
    ordinal,
)
from telemetry.log.redis_streams import RedisLog
from tests.loop_driver import LoopDriver
from tests.servers import servers

NewLog = Callable[..., RedisLog]


@pytest.fixture(params=[RedisLog, LoopDriver])
def new_log(request: pytest.FixtureRequest) -> NewLog:
    """Makes logs of a driver: one for threads, one whose appends are an event loop's."""
    return lambda **options: request.param(settings.SERVERS["redis_url"], 1.0, **options)


@pytest.fixture
def log(redis_client: redis.Redis, new_log: NewLog) -> RedisLog:
    return new_log()


def append(log: RedisLog, *entries: tuple[int, bytes], key: str = "", note: str = "") -> Appended:
    (answer,) = log.append([Append(list(entries), key, note)])
    if not isinstance(answer, Appended):
        raise answer
    return answer


def payloads(log: RedisLog, shard: int, after: str = START) -> list[bytes]:
    return [entry.payload for entry in log.read(shard, after, 1 << 30).entries]


def test_entries_come_back_in_order_under_the_ids_they_were_given(log: RedisLog) -> None:
    ids = [append(log, (0, b"%d" % number)).ids[0] for number in range(50)]
    reading = log.read(0, START, 1 << 20)
    assert [entry.id for entry in reading.entries] == ids == sorted(ids, key=ordinal)
    assert [entry.payload for entry in reading.entries] == [b"%d" % number for number in range(50)]
    assert reading.last_id == ids[-1] and reading.complete and reading.trimmed == START
    assert payloads(log, 0, ids[47]) == [b"48", b"49"]
    assert payloads(log, 1) == []


def test_offsets_count_the_shards_bytes(log: RedisLog) -> None:
    append(log, (0, b"12345"), (1, b"123"))
    append(log, (0, b"678"))
    assert [entry.offset for entry in log.read(0, START, 1 << 20).entries] == [5, 8]


def test_a_request_over_several_shards_has_an_id_for_each_entry(log: RedisLog) -> None:
    appended = append(log, (2, b"a"), (0, b"b"), (2, b"c"))
    assert [entry.id for entry in log.read(2, START, 100).entries] == [appended.ids[0], appended.ids[2]]
    assert [entry.id for entry in log.read(0, START, 100).entries] == [appended.ids[1]]


def test_a_full_shard_refuses_the_whole_request_and_only_that(redis_client: redis.Redis, new_log: NewLog) -> None:
    log = new_log(most_bytes=10)
    append(log, (1, b"x" * 11))
    refused, taken = log.append([Append([(0, b"a"), (1, b"b"), (2, b"c")]), Append([(0, b"d")])])
    assert isinstance(refused, LogFull) and isinstance(taken, Appended)
    assert (payloads(log, 0), payloads(log, 2)) == ([b"d"], [])
    log.trim(1, None, 11)  # stored: there is room again
    append(log, (1, b"e"))


def test_a_server_without_memory_is_a_full_log_that_can_be_drained(
    log: RedisLog, redis_client: redis.Redis, new_log: NewLog
) -> None:
    ids = [append(log, (0, b"x" * 1000)).ids[0] for _ in range(20)]
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(LogFull):
            append(new_log(), (0, b"y"), (1, b"y"))
        drainer = new_log()
        assert len(payloads(drainer, 0)) == 20
        assert drainer.begin_attempt(0, START)[0] == 1
        drainer.trim(0, ids[9], 10_000)
        assert len(payloads(drainer, 0)) == 10
    finally:
        redis_client.config_set("maxmemory", "1gb")
    assert payloads(log, 1) == []
    append(new_log(), (0, b"z"))


def test_memory_that_runs_out_in_mid_append_refuses_it_whole(log: RedisLog, redis_client: redis.Redis) -> None:
    append(log, (0, b"x"))
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(LogFull):  # the last look at the memory is still fresh
            append(log, (0, b"y"), (1, b"y"))
    finally:
        redis_client.config_set("maxmemory", "1gb")
    assert (payloads(log, 0), payloads(log, 1)) == ([b"x"], [])


def test_an_idempotency_key_is_honoured_once(log: RedisLog, new_log: NewLog) -> None:
    first = append(log, (0, b"a"), (1, b"b"), key="k", note="the note 7")
    again = append(new_log(), (0, b"other"), key="k", note="another note")
    assert (again.ids, again.segment, again.repeated) == (first.ids, first.segment, "the note 7")
    assert first.repeated is None
    assert (payloads(log, 0), payloads(log, 1)) == ([b"a"], [b"b"])


def test_an_idempotency_key_is_honoured_within_one_append_too(log: RedisLog) -> None:
    answers = log.append([Append([(0, b"a")], "k", "1"), Append([(0, b"b")], "k", "2")])
    assert [answer.repeated for answer in answers] == [None, "1"]
    assert payloads(log, 0) == [b"a"]


def test_a_refused_request_does_not_use_up_its_key(redis_client: redis.Redis, new_log: NewLog) -> None:
    log = new_log(most_bytes=1)
    append(log, (0, b"xx"))
    with pytest.raises(LogFull):
        append(log, (0, b"a"), key="k")
    log.trim(0, None, 2)
    assert append(log, (0, b"a"), key="k").repeated is None


def test_keys_are_bounded(redis_client: redis.Redis, new_log: NewLog) -> None:
    log = new_log(most_idempotency_keys=2)
    for key in "ab":
        append(log, (0, b"x"), key=key)
    with pytest.raises(TooManyIdempotencyKeys):
        append(log, (0, b"y"), key="c")
    assert append(log, (0, b"z"), key="a").repeated is not None
    append(log, (0, b"no key"))


def test_another_layout_is_refused(log: RedisLog, new_log: NewLog) -> None:
    append(log, (0, b"a"))
    with pytest.raises(LayoutChanged):
        append(new_log(epoch=2), (0, b"b"))
    assert payloads(log, 0) == [b"a"]


def test_trim_removes_what_it_says_and_tells_so(log: RedisLog) -> None:
    ids = [append(log, (0, b"%d" % number)).ids[0] for number in range(5)]
    log.trim(0, ids[2], 3)
    reading = log.read(0, START, 100)
    assert [entry.payload for entry in reading.entries] == [b"3", b"4"]
    assert (reading.trimmed, reading.last_id) == (ids[2], ids[4])
    log.trim(0, ids[4], 5)
    assert (log.length(0), log.read(0, START, 100).last_id) == (0, ids[4])
    assert ordinal(append(log, (0, b"next")).ids[0]) > ordinal(ids[4])


def test_depth_counts_what_is_beyond_the_position(log: RedisLog, redis_client: redis.Redis) -> None:
    assert depths(redis_client, {0: (START, 0)})[0] == (0, 0, 0.0)
    ids = [append(log, (0, b"12345")).ids[0] for _ in range(4)]
    length, waiting_bytes, age = depths(redis_client, {0: (ids[0], 5)})[0]
    assert (length, waiting_bytes) == (4, 15)
    assert 0 <= age < 60
    assert depths(redis_client, {0: (ids[3], 20)})[0] == (4, 0, 0.0)


def test_one_look_takes_few_entries_where_they_are_large_and_many_where_they_are_small(log: RedisLog) -> None:
    for _ in range(40):
        append(log, (0, b"x" * 100_000))
        append(log, *[(1, b"y")] * 50)
    large = log.read(0, START, 300_000)
    assert 3 <= len(large.entries) <= 16 and not large.complete
    assert len(log.read(1, START, 1_000_000).entries) == 2000


def test_a_shard_is_woken_once_until_its_drain_begins(log: RedisLog, redis_client: redis.Redis) -> None:
    assert append(log, (0, b"a"), (3, b"b")).wake == (0, 3)
    assert append(log, (0, b"c")).wake == ()
    redis_client.delete("log:0:drain")
    assert append(log, (0, b"d")).wake == (0,)


@pytest.fixture
def frozen_log_server() -> Iterator[None]:
    """A server that takes connections and answers nothing."""
    os.kill(servers().pid("log"), signal.SIGSTOP)
    yield
    os.kill(servers().pid("log"), signal.SIGCONT)


def test_a_server_that_does_not_answer_is_down_within_the_timeout(
    log: RedisLog, request: pytest.FixtureRequest, new_log: NewLog
) -> None:
    append(log, (0, b"a"))
    request.getfixturevalue("frozen_log_server")
    for each in (log, new_log()):
        began = time.monotonic()
        with pytest.raises(LogDown):
            append(each, (0, b"b"))
        assert time.monotonic() - began < 3


def test_a_server_that_died_is_down_at_once_and_works_again_when_it_is_back(log: RedisLog) -> None:
    append(log, (0, b"a"))
    servers().kill("log")
    try:
        with pytest.raises(LogDown):
            append(log, (0, b"b"))
    finally:
        servers().restart("log")
    append(log, (0, b"c"))
    assert payloads(log, 0) == [b"a", b"c"]


def test_what_is_trimmed_with_its_attempts_counts_them_no_more(log: RedisLog) -> None:
    assert [log.begin_attempt(0, "1-0")[0], log.begin_attempt(0, "2-0")[0]] == [1, 1]
    log.trim(0, None, 2, ["1-0"])
    assert [log.begin_attempt(0, "1-0")[0], log.begin_attempt(0, "2-0")[0]] == [1, 2]
