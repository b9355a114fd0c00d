"""Columnar chunks that are written no more are sorted, and nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from iotplatform import tasks
from iotplatform.backup import snapshot
from iotplatform.env import config
from telemetry import compaction
from telemetry.compaction import Compactor
from telemetry.database import connect
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.engine import Unsorted, engine_in_use
from tests.telemetry.columnar import DAY, NOON, everything, land, skip_unless_columnar, status

pytestmark = pytest.mark.usefixtures("platform_db")

LATER = NOON + 30 * DAY
SOON = replace(config, compact_after_minutes=60)


def always(_: psycopg.Connection) -> bool:
    return True


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        skip_unless_columnar(connection)
        yield connection


def due(connection: psycopg.Connection, before: int = LATER) -> list[Unsorted]:
    with connection.cursor() as cursor:
        return engine_in_use(cursor).unsorted(cursor, before)


def test_chunks_are_sorted_oldest_first_and_keep_their_readings(db: psycopg.Connection) -> None:
    land(db, 3000, NOON)
    land(db, 3000, NOON - 14 * DAY)
    land(db, 3000, NOON - 7 * DAY, columns=False)
    before, chunks = everything(db), due(db)
    assert [chunk.end for chunk in chunks] == sorted(chunk.end for chunk in chunks)
    assert [(chunk.landed, chunk.rows) for chunk in chunks] == [(True, False), (False, True), (True, False)]
    assert Compactor().work(SOON, always, LATER) == [(chunk.table, "done") for chunk in chunks]
    assert status(db) == [1, 1, 1]
    assert due(db) == [] and everything(db) == before


def test_what_comes_late_has_a_chunk_sorted_again_but_not_for_each_piece(db: psycopg.Connection) -> None:
    now = [100.0]
    compactor = Compactor(clock=lambda: now[0])
    land(db, 3000)
    compactor.work(SOON, always, LATER)
    land(db, 200, NOON + 500, columns=False)
    land(db, 2000, NOON + 700)
    assert status(db) == [11]
    before, chunk = everything(db), due(db)[0]
    size = "SELECT pg_relation_size(%s::regclass), pg_indexes_size(%s::regclass)"
    assert compactor.work(SOON, always, LATER) == []
    now[0] += 3600
    assert [outcome for _, outcome in compactor.work(SOON, always, LATER)] == ["done"]
    assert status(db) == [1]
    assert everything(db) == before
    assert db.execute(size, [chunk.table] * 2).fetchone() == (0, 8192), "the room of what was rows is given back"


def test_a_chunk_that_may_still_be_written_is_left_alone(db: psycopg.Connection) -> None:
    land(db, 3000)
    end = due(db)[0].end
    assert Compactor().work(SOON, always, end + 3_600_000_000 - 1) == []
    assert len(Compactor().work(SOON, always, end + 3_600_000_000)) == 1


def test_a_writer_that_waits_ends_the_work_and_nothing_is_lost(db: psycopg.Connection) -> None:
    land(db, 400_000)
    before, (chunk,) = everything(db), due(db)
    over = threading.Event()
    longest = [0.0]

    def write() -> None:
        with connect(autocommit=True) as writer:
            at = 0
            while not over.is_set():
                at += 1
                began = time.monotonic()
                land(writer, 1, NOON + 250_000 + at * 1000, columns=False)
                longest[0] = max(longest[0], time.monotonic() - began)
            longest.append(at)

    writing = threading.Thread(target=write)
    writing.start()
    outcome = compact(lambda: connect(autocommit=True), chunk, patience=0.0)
    over.set()
    writing.join()
    assert outcome == "gave_way"
    assert everything(db)[0] == before[0] + longest[1]
    assert compact(lambda: connect(autocommit=True), chunk, patience=0.0) == "done"
    assert everything(db)[0] == before[0] + longest[1]


def test_a_query_that_takes_long_is_not_waited_for_and_the_chunk_rests(db: psycopg.Connection) -> None:
    land(db, 3000)
    now = [100.0]
    compactor = Compactor(clock=lambda: now[0])
    with connect(autocommit=False) as reader:
        assert len(reader.execute("SELECT * FROM telemetry_reading").fetchall()) == 3000
        began = time.monotonic()
        assert [outcome for _, outcome in compactor.work(SOON, always, LATER)] == ["held"]
        assert time.monotonic() - began < 4, "other readers queued behind it for long"
        assert status(db) == [11], "nothing of it was kept"
    assert compactor.work(SOON, always, LATER) == []
    now[0] += 60
    assert [outcome for _, outcome in compactor.work(SOON, always, LATER)] == ["done"]


def test_it_does_not_begin_under_a_long_query(db: psycopg.Connection) -> None:
    land(db, 3000)
    (chunk,) = due(db)
    with connect(autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM telemetry_reading")
        reader.execute("SELECT pg_sleep(2.1)")
        began = time.monotonic()
        assert compact(lambda: connect(autocommit=True), chunk, patience=1.0) == "held"
        assert time.monotonic() - began < 0.4, "it waited for the lock"


def test_one_at_a_time_and_not_when_it_may_not(db: psycopg.Connection) -> None:
    land(db, 3000)
    assert Compactor().work(SOON, lambda _: False, LATER) == []
    with connect(autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('telemetry.compaction', 0))")
        assert Compactor().work(SOON, always, LATER) == []
    assert len(Compactor().work(SOON, always, LATER)) == 1


def test_a_chunk_that_retention_dropped_meanwhile_is_no_error(db: psycopg.Connection) -> None:
    land(db, 3000)
    (chunk,) = due(db)
    with db.cursor() as cursor:
        engine_in_use(cursor).drop_before(cursor, LATER)
    assert compact(lambda: connect(autocommit=True), chunk, patience=1.0) == "gone"


def test_beat_starts_one_thread_where_there_is_something_to_do(db: psycopg.Connection) -> None:
    compactor = Compactor()
    compactor.pump(SOON, always)
    assert compactor.wait(0), "nothing is due"
    land(db, 3000, int(time.time() * 1e6) - 30 * DAY)
    compactor.pump(SOON, always)
    assert compactor.wait(30)
    assert status(db) == [1]


def test_the_order_of_beat_waits_for_a_backup(db: psycopg.Connection) -> None:
    land(db, 3000, int(time.time() * 1e6) - 30 * DAY)
    with connect(autocommit=True) as backup:
        backup.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [snapshot.LOCK])
        tasks.compact()
        assert compaction.worker.wait(30)
        assert status(db) == [11]
    tasks.compact()
    assert compaction.worker.wait(30)
    assert status(db) == [1]
