"""The log is emptied, replaced, or set back to an older copy: every reading is stored once or said to be lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from django.conf import settings

from telemetry.log.redis_streams import RedisLog
from telemetry.models import LogSegment
from telemetry.receipts import Receipt
from tests.iotplatform.pipeline.log_copies import copy_log, put_back_log
from tests.iotplatform.pipeline.parts import (
    SHARD,
    Clock,
    Source,
    counts,
    drain_to_end,
    new_drain,
    new_log,
    position,
    table,
    undecodable,
    waiting_in_log,
)
from tests.servers import servers


def states(receipts: list[Receipt]) -> list[str]:
    return [counts(receipt)[0] for receipt in receipts]


def stored_is_true(source: Source) -> None:
    """No receipt says stored of a reading that is not in the table."""
    found = table()
    for (place, at, _), receipt in zip(source.sent, source.receipts, strict=True):
        if counts(receipt)[0] == "stored":
            assert (source.series[place], 1_795_000_000_000_000 + at) in found, (
                "a receipt says stored, the table does not"
            )


def test_a_restart_with_entries_waiting_loses_nothing(source: Source) -> None:
    warm = new_drain()
    list(source.numbers(2))
    drain_to_end(warm)
    list(source.numbers(2, start=2))
    servers().restart("log")
    list(source.numbers(2, start=4))
    drain_to_end(warm)
    assert table() == source.expected()
    assert [counts(receipt) for receipt in source.receipts] == [("stored", 1, 0, 0, 0)] * 6


def test_a_crash_of_the_log_server_loses_nothing_that_was_answered(source: Source) -> None:
    list(source.numbers(20))
    servers().kill("log")
    servers().restart("log")
    drain_to_end()
    assert table() == source.expected()
    assert set(states(source.receipts)) == {"stored"}


@pytest.mark.parametrize("fresh", [False, True], ids=["the same process", "another process"])
def test_an_empty_log_in_its_place_loses_what_waited_and_says_so(source: Source, fresh: bool) -> None:
    warm = new_drain()
    kept = list(source.numbers(2))
    drain_to_end(warm)
    lost = list(source.numbers(2, start=2))
    put_back_log(None)
    later = list(source.numbers(2, start=4))
    assert "stored" not in states(lost + later), "nothing of these is stored yet"
    drain_to_end(new_drain() if fresh else warm)
    assert states(kept + lost + later) == ["stored"] * 2 + ["lost"] * 2 + ["stored"] * 2
    assert len(table()) == 4
    stored_is_true(source)


@pytest.mark.parametrize("entries_after", [0, 2])
def test_emptied_while_connected(source: Source, redis_client: redis.Redis, entries_after: int) -> None:
    warm = new_drain()
    kept = list(source.numbers(2))
    drain_to_end(warm)
    lost = list(source.numbers(2, start=2))
    redis_client.flushall()
    later = list(source.numbers(entries_after, start=4))
    drain_to_end(warm)
    assert states(kept + lost + later) == ["stored"] * 2 + ["lost"] * 2 + ["stored"] * entries_after
    stored_is_true(source)


@pytest.mark.parametrize("drained_before_new_ones", [True, False], ids=["noticed at once", "new ids beyond"])
def test_an_older_copy_loses_what_came_after_it_and_says_so(
    source: Source, tmp_path: Path, drained_before_new_ones: bool
) -> None:
    """Also where new entries have got ids beyond the position before any drain could look."""
    warm = new_drain()
    kept = list(source.numbers(2))
    drain_to_end(warm)
    copied = list(source.numbers(2, start=2))
    copy_log(tmp_path / "copy")
    after_copy = list(source.numbers(2, start=4))
    drain_to_end(warm)
    lost = list(source.numbers(2, start=6))
    put_back_log(tmp_path / "copy")
    if drained_before_new_ones:
        drain_to_end(warm)
    later = list(source.numbers(2, start=8))
    drain_to_end(warm)
    assert states(kept + copied + after_copy) == ["stored"] * 6
    assert states(lost) == ["lost"] * 2
    assert states(later) == ["stored"] * 2
    assert len(table()) == 8
    stored_is_true(source)


def test_an_older_copy_read_again_leaves_receipts_as_they_were(source: Source, tmp_path: Path) -> None:
    receipts = list(source.numbers(2))
    repeat = source.send((0, 0, 5.0))
    copy_log(tmp_path / "copy")
    list(source.numbers(1, start=2))
    drain_to_end()
    put_back_log(tmp_path / "copy")
    drain_to_end()
    assert [counts(receipt) for receipt in receipts] == [("stored", 1, 0, 0, 0)] * 2
    assert counts(repeat) == ("stored", 0, 1, 1, 0)
    assert table() == source.expected()


def test_an_older_copy_with_the_drain_behind_it_stores_what_it_holds(source: Source, tmp_path: Path) -> None:
    """Nothing was drained yet: the copy's entries are all stored, those after it are lost."""
    copied = list(source.numbers(3))
    copy_log(tmp_path / "copy")
    lost = list(source.numbers(2, start=3))
    put_back_log(tmp_path / "copy")
    later = list(source.numbers(1, start=5))
    drain_to_end()
    assert states(copied + lost + later) == ["stored"] * 3 + ["lost"] * 2 + ["stored"]
    stored_is_true(source)


def test_a_poison_first_in_the_new_run_does_not_make_lost_entries_stored(source: Source, tmp_path: Path) -> None:
    kept = list(source.numbers(1))
    drain_to_end()
    copy_log(tmp_path / "copy")
    lost = list(source.numbers(2, start=1))
    put_back_log(tmp_path / "copy")
    poison = source.send_bytes(undecodable())
    drain_to_end()
    assert states(kept + lost) == ["stored", "lost", "lost"]
    assert counts(poison) == ("stored", 0, 0, 0, 1)


def test_a_run_of_which_nothing_is_left_is_lost_once_that_is_certain(source: Source) -> None:
    """No drain ever saw an entry of it. A run that began just now is not yet given up."""
    clock = Clock()
    drain = new_drain(clock=clock)
    lost = list(source.numbers(1))
    put_back_log(None)
    later = list(source.numbers(1, start=1))
    drain_to_end(drain)
    clock.now += 11
    drain_to_end(drain)
    assert states(lost + later) == ["pending", "stored"]
    old = LogSegment.objects.order_by("pk").first().created_at
    LogSegment.objects.update(created_at=old.replace(year=old.year - 1))
    clock.now += 11
    drain_to_end(drain)
    assert states(lost + later) == ["lost", "stored"]


def test_stored_entries_of_the_log_before_do_not_keep_the_new_one_from_being_trimmed(source: Source) -> None:
    """With a clock set back the new log's ids are lower than the old one's."""
    clock = Clock()
    drain = new_drain(clock=clock, log_keep_seconds=60)
    far = new_log()
    far.call(
        lambda client: client.xadd(
            f"log:{SHARD}",
            {"s": far._connected() and far.segment, "o": 1, "p": source.payload([(1, 0, 1.0)]).encode()},
            "9999999999999-0",
        )
    )
    drain_to_end(drain)
    put_back_log(None)
    list(source.numbers(2))
    drain_to_end(drain)
    clock.now += 61
    list(source.numbers(1, start=2))
    drain_to_end(drain)
    assert [entry.id for entry in waiting_in_log()] == [position().stored]


def test_what_is_stored_makes_room_where_the_log_servers_memory_is_short(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = new_drain(log_keep_seconds=3600)
    source.send((0, 0, 1.0))
    drain_to_end(drain)
    assert new_log().length(SHARD) == 1
    monkeypatch.setattr(RedisLog, "memory_taken", lambda _: 0.85)
    source.send((0, 1, 1.0))
    drain_to_end(drain)
    drain.drain()
    assert new_log().length(SHARD) == 0
    assert table() == source.expected()


def test_the_share_of_memory_that_is_taken() -> None:
    client = redis.Redis.from_url(settings.SERVERS["redis_url"])
    before = client.config_get("maxmemory")["maxmemory"]
    try:
        client.config_set("maxmemory", 4 * client.info("memory")["used_memory"])
        assert 0.15 < new_log().memory_taken() < 0.35
        client.config_set("maxmemory", 0)
        assert new_log().memory_taken() == 0
    finally:
        client.config_set("maxmemory", before)
