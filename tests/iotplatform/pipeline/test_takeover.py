"""Several processes and one shard: one drains at a time, any may take over at any moment and is right at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from django.db import connection as django_connection
from psycopg.pq import ExecStatus

from iotplatform import pipeline
from iotplatform.env import config
from telemetry.database import connection_parameters
from telemetry.deadline import BoundedConnection, patient
from telemetry.deletion import delete_device
from telemetry.intake.batch import Batch
from telemetry.log.entries import Append
from telemetry.log.payload import Payload
from telemetry.models import Device, QuarantinedReading, Series, ShardPosition
from telemetry.store import positions
from tests.builders import make_device, wait_until
from tests.faults.wires import wire_to_database
from tests.iotplatform.pipeline.parts import (
    NOON,
    SHARD,
    Clock,
    Pausing,
    Source,
    close_drains,
    counts,
    drain_to_end,
    drains_connection,
    new_drain,
    new_log,
    position,
    table,
)


@pytest.mark.alone
def test_while_one_drains_a_second_goes_away_at_once(source: Source) -> None:
    source.send((0, 0, 1.0))
    pausing = Pausing()
    thread = threading.Thread(target=new_drain(judge=pausing).drain)
    thread.start()
    assert pausing.reached.wait(20)
    began = time.monotonic()
    assert new_drain().drain() == pipeline.Drained()
    assert time.monotonic() - began < 2
    assert table() == {}
    pausing.go_on.set()
    thread.join()
    assert table() == source.expected()


def test_many_drains_of_one_shard_at_once_store_everything_once(source: Source) -> None:
    stop, errors = threading.Event(), []

    def draining() -> None:
        drain = new_drain(drain_max_rows=20)
        try:
            while not stop.is_set() or position().stored != last.entries[0].id:
                drain.drain()
        except BaseException as error:
            errors.append(error)
        finally:
            drain.close()

    last = source.send((2, 0, 0.0))
    threads = [threading.Thread(target=draining) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(150):
        last = source.send(*((place, number * 10 + step, 1.0) for place in range(3) for step in (0, 5, -7)))
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not errors
    assert table() == source.expected()
    assert {counts(receipt)[0] for receipt in source.receipts} == {"stored"}
    assert sum(counts(receipt)[1] for receipt in source.receipts) == len(table())
    assert sum(counts(receipt)[2] for receipt in source.receipts) == len(source.sent) - len(table())


def test_a_drain_that_was_forgotten_within_its_copy_does_not_keep_the_shard(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_LOCKED_OUT_SECONDS", 0.3)
    source.send((0, 0, 1.0))
    drain = new_drain()
    with drains_connection() as waits, drains_connection() as bystander, drains_connection() as gone:
        gone.execute("SET application_name = 'iot-drain9'")
        waits.execute("SET application_name = 'iot-drain8'")
        waits.execute("BEGIN")
        bystander.execute("CREATE TEMP TABLE b (i int); BEGIN")
        bystander.pgconn.exec_(b"COPY b FROM STDIN")
        gone.execute("BEGIN")
        positions.lock(gone, SHARD)
        gone.execute("CREATE TEMP TABLE t (i int)")
        gone.pgconn.exec_(b"COPY t FROM STDIN")  # no limit of the server's counts from here on
        wait_until(lambda: drain.drain().readings == 1, what="the shard is free")
        assert table() == source.expected()
        waits.execute("ROLLBACK")  # only such a one was ended: not one that waits elsewhere …
        bystander.pgconn.put_copy_end()  # … nor another process's COPY
        assert bystander.pgconn.get_result().status == ExecStatus.COMMAND_OK
        for connection in (gone, bystander):
            connection.pgconn.finish()


def test_forgotten_connections_hold_a_worker_up_no_longer_than_one_of_them(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_HEARD_WITHIN_SECONDS", 0.0)  # as after a pause
    clock = Clock()
    with wire_to_database(connection_parameters()) as (proxy, through):

        def connect() -> BoundedConnection:
            return patient(30).connect(**through, autocommit=True)

        drains = [new_drain(shard=shard, connect=connect, clock=clock) for shard in range(config.shards)]
        for drain in drains:
            drain.drain()
        proxy.forsake(answering=True)  # a firewall was started again
        source.send((0, 0, 1.0))
        began = time.monotonic()
        for drain in drains:
            drain.drain()
        assert time.monotonic() - began < 4
        assert table() == source.expected()
        close_drains()


def test_processes_that_take_turns_know_what_the_other_stored(source: Source) -> None:
    drains = [new_drain(), new_drain()]
    for number in range(8):
        source.send((0, number, 1.0), (1, -number, 1.0), (0, number - 1, 2.0))
        drain_to_end(drains[number % 2])
    assert table() == source.expected()
    assert [counts(receipt)[1:4] for receipt in source.receipts[1:]] == [(2, 1, 1)] * 7


def test_readings_of_a_device_deleted_while_they_wait_go_to_quarantine(source: Source) -> None:
    device = make_device()
    while device.pk % ShardPosition.objects.count() != SHARD:
        device = make_device()
    kept = source.send((0, 0, 1.0))
    warm = new_drain()
    own = source.series
    source.series = [*own, Series.objects.create(device=device, metric="gone").pk]
    mixed = source.send((0, 1, 2.0), (3, 0, 3.0), (3, 1, 4.0), (0, 0, 1.0))
    source.series = own
    source.sent = [row for row in source.sent if row[0] != 3]
    delete_device(Device.objects.get(pk=device.pk))
    drain_to_end(warm)
    assert table() == source.expected()
    assert counts(kept) == ("stored", 1, 0, 0, 0)
    assert counts(mixed) == ("stored", 1, 1, 0, 2)
    assert set(QuarantinedReading.objects.values_list("code", flat=True)) == {"unknown_device"}
    assert QuarantinedReading.objects.count() == 2


def test_a_deletion_is_noticed_by_a_drain_that_knew_the_device(source: Source) -> None:
    device = make_device()
    while device.pk % ShardPosition.objects.count() != SHARD:
        device = make_device()
    series = Series.objects.create(device=device, metric="m").pk
    source.series.append(series)
    warm = new_drain()
    source.send((3, 0, 1.0))
    drain_to_end(warm)
    delete_device(Device.objects.get(pk=device.pk))
    late = source.send((3, 1, 2.0), (0, 1, 2.0))
    drain_to_end(warm)
    assert (series, NOON + 1) not in table()
    assert counts(late) == ("stored", 1, 0, 0, 1)


@pytest.fixture
def many_series(platform_db: None) -> Iterator[np.ndarray]:
    """100,000 series of one device."""
    device = make_device()
    with django_connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO telemetry_series (device_id, metric, boolean, created_at) "
            "SELECT %s, 'm' || n, false, now() FROM generate_series(1, 100000) n RETURNING id",
            [device.pk],
        )
        found = np.array(sorted(row[0] for row in cursor.fetchall()), np.int32)
    yield found
    close_drains()


def test_a_shard_with_a_hundred_thousand_series_is_taken_over_in_mid_stream(
    many_series: np.ndarray, record_property: pytest.RecordProperty
) -> None:
    """Its second process is right at once, and soon as fast as the first: a multiple of its time, for busy machines."""
    log, rounds, part = new_log(), 6, 5000

    def send(number: int) -> None:
        for start in range(0, len(many_series), part):
            series = many_series[start : start + part]
            batch = Batch(series, np.full(len(series), NOON + number, np.int64), np.ones(len(series)))
            log.append([Append([(SHARD, Payload(batch, int(time.time() * 1e6)).encode())])])

    def timed(drain: pipeline.ShardDrain) -> float:
        began = time.perf_counter()
        assert drain_to_end(drain) == len(many_series)
        return time.perf_counter() - began

    first, second = new_drain(), new_drain()
    times = []
    for number in range(rounds):
        send(number)
        if number == 2:  # as the checkpoint that a running drain saves every few seconds
            first._memory.checkpoint_at = float("-inf")
        times.append(timed(first if number < 3 else second))
    warm, taking_over, after = min(times[1:3]), times[3], min(times[4:])
    record_property("seconds", [round(seconds, 2) for seconds in times])
    print(f"warm {warm:.2f} s, taking over {taking_over:.2f} s, after {after:.2f} s")
    with django_connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT (series_id, time)) FROM telemetry_reading")
        assert cursor.fetchone() == (rounds * len(many_series), rounds * len(many_series))
    assert taking_over - warm < 2 + 4 * warm
    assert after < 2.5 * warm
