"""What cannot be stored is set aside alone, with its bytes, after its tries; what waits for a newer release is not."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.conf import settings

from iotplatform import pipeline
from telemetry.intake.batch import Rejection
from telemetry.models import QuarantinedReading
from telemetry.store.chunk import Chunk
from tests.iotplatform.pipeline.parts import (
    NEWER_RELEASE,
    SHARD,
    Killed,
    Pausing,
    Source,
    counts,
    drain_to_end,
    new_drain,
    new_log,
    position,
    table,
    undecodable,
)

ATTEMPTS = settings.PLATFORM.drain_attempts
#: Decodes well, but the database has no room for such a reason.
REFUSED_BY_DATABASE = [Rejection(0, "time", "code" * 100, "detail", "pump", "{}")]


def drain_many(times: int = 3 * ATTEMPTS) -> None:
    """So many drains, each by a process that has just started."""
    for _ in range(times):
        drain = new_drain()
        drain.drain()
        drain.close()


@pytest.mark.parametrize("first", [b"", b"\x00", b"\x20", b"\xff"], ids=["cut short", "zero", "beyond", "all ones"])
def test_bytes_that_are_no_entry_are_set_aside_alone(source: Source, first: bytes) -> None:
    before = source.send((0, 0, 1.0))
    rubbish = first + undecodable()
    poison = source.send_bytes(rubbish, readings=3)
    behind = source.send((0, 1, 2.0))
    drain_to_end()
    assert table() == source.expected()
    (kept,) = QuarantinedReading.objects.all()
    assert (kept.code, bytes(kept.raw)) == ("poison", rubbish)
    assert counts(before) == counts(behind) == ("stored", 1, 0, 0, 0)
    assert counts(poison) == ("stored", 0, 0, 0, 3)


def test_an_entry_that_the_database_refuses_is_set_aside_alone(source: Source) -> None:
    receipts = [source.send((0, 0, 1.0)), source.send((0, 1, 2.0))]
    bad = source.payload([(1, 0, 3.0)], rejections=REFUSED_BY_DATABASE).encode()
    poison = source.send_bytes(bad, readings=1)
    receipts += [source.send((0, 2, 4.0)), source.send((1, 1, 5.0))]
    drain_to_end()
    assert table() == source.expected()
    (kept,) = QuarantinedReading.objects.all()
    assert (kept.code, bytes(kept.raw)) == ("poison", bad)
    assert {counts(receipt) for receipt in receipts} == {("stored", 1, 0, 0, 0)}
    assert counts(poison) == ("stored", 0, 0, 0, 1)
    assert position().stored == receipts[-1].entries[0].id


def test_it_is_tried_as_often_as_is_promised(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """N times among the others, then N times alone; what works at the last try is stored."""
    failures = [2 * ATTEMPTS - 1]

    def failing_at_first(*arguments: Any, **options: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise ValueError("not yet")
        return write(*arguments, **options)

    write = pipeline.write
    receipt = source.send((0, 0, 1.0))
    monkeypatch.setattr(pipeline, "write", failing_at_first)
    drain_many()
    assert failures == [0]
    assert counts(receipt) == ("stored", 1, 0, 0, 0)
    assert not QuarantinedReading.objects.exists()


def test_an_entry_that_kills_its_worker_every_time_is_set_aside(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [source.send((0, 0, 1.0))]
    killer = source.send_bytes(source.payload([(1, 0, 666.0)]).encode())
    good.append(source.send((0, 1, 2.0)))
    write = pipeline.write

    def dying(connection: Any, batch: Any, *arguments: Any, **options: Any) -> Any:
        if 666.0 in batch.values:
            raise Killed
        return write(connection, batch, *arguments, **options)

    monkeypatch.setattr(pipeline, "write", dying)
    deaths = 0
    for _ in range(4 * ATTEMPTS):
        drain = new_drain()
        try:
            drain.drain()
        except Killed:
            deaths += 1
        drain._connection and drain._connection.close()
    assert ATTEMPTS <= deaths <= 2 * ATTEMPTS
    assert table() == source.expected()
    assert {counts(receipt) for receipt in good} == {("stored", 1, 0, 0, 0)}
    assert counts(killer) == ("stored", 0, 0, 0, 1)


def test_an_entry_of_a_newer_release_waits_and_so_do_those_behind_it(source: Source) -> None:
    before = source.send((0, 0, 1.0))
    newer = source.send_bytes(NEWER_RELEASE)
    behind = source.send((0, 1, 2.0))
    drain_many()
    assert counts(before)[0] == "stored"
    assert counts(newer)[0] == counts(behind)[0] == "pending"
    assert not QuarantinedReading.objects.exists()
    assert len(table()) == 1


def test_a_busy_shard_is_no_failure(source: Source) -> None:
    """Drains that go away because another one has the shard count for nothing, however many they are."""
    receipt = source.send((0, 0, 1.0))
    pausing = Pausing()
    holder = new_drain(judge=pausing)
    thread = threading.Thread(target=holder.drain)
    thread.start()
    assert pausing.reached.wait(20)
    drain_many()
    assert new_log().begin_attempt(SHARD, "0-0")[0] == 2, "only the holder's try and this one are counted"
    pausing.go_on.set()
    thread.join()
    assert counts(receipt) == ("stored", 1, 0, 0, 0)
    assert not QuarantinedReading.objects.exists()


def test_tries_that_worked_in_the_end_are_forgotten(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    source.send((0, 0, 1.0))
    take = pipeline.take
    failures = [ATTEMPTS]

    def failing(entries: Any, most: int) -> tuple[Chunk | None, bool]:
        if failures[0]:
            failures[0] -= 1
            raise ValueError("not yet")
        return take(entries, most)

    monkeypatch.setattr(pipeline, "take", failing)
    drain_to_end()
    later = source.send((0, 1, 1.0))
    drain_to_end()
    assert counts(later)[0] == "stored"
    assert not any(b"-" in name for name in new_log().call(lambda client: client.hkeys(f"log:{SHARD}:attempts")))
