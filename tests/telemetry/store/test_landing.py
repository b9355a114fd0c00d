"""What goes into columns, and what does not although it might."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest

from telemetry import measures
from telemetry.database import connect
from telemetry.intake.batch import Batch
from telemetry.store.frontier import Frontier
from telemetry.store.loaders import Loader, copy_into_columns, probe
from telemetry.store.write import write
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from tests.builders import wait_until
from tests.telemetry.columnar import NOON, everything, land, skip_unless_columnar, status

pytestmark = pytest.mark.usefixtures("platform_db")

LANDING = Loader(copy=True, refuses_repeats=False, columnar_from=1_000)


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        yield connection


def rows(count: int, start: int = NOON) -> Batch:
    return Batch(np.arange(1, count + 1, dtype=np.int32), np.full(count, start, np.int64), np.zeros(count))


def landed(layout: str) -> float:
    return measures.readings_landed.labels(layout=layout)._value.get()


def test_a_server_that_writes_rows_all_the_same_is_found_out(db: psycopg.Connection) -> None:
    """As every table does whose server cannot, or that has a unique index."""
    with db.cursor() as cursor:
        Coverage(engine_in_use(cursor), 7).ensure(cursor, np.array([NOON, int(time.time() * 1e6)]))
        if not (unique := engine_in_use(cursor).refuses_repeats):
            cursor.execute("CREATE UNIQUE INDEX in_the_way ON telemetry_reading (series_id, time)")
    try:
        before = landed("columns"), landed("rows"), measures.columnar_fallbacks._value.get()
        with db.transaction():
            copy_into_columns(db, rows(5_000))
        after = landed("columns"), landed("rows"), measures.columnar_fallbacks._value.get()
        assert [new - old for new, old in zip(after, before, strict=True)] == [0, 5_000, 1]
        assert probe(db) == "COPY wrote 2000 of 2000 rows as rows"
        with db.cursor() as cursor:
            assert Loader.of(db, engine_in_use(cursor), "auto", 1).columnar_from is None
        assert everything(db)[0] == 5_000, "the probe leaves nothing"
    finally:
        if not unique:
            db.execute("DROP INDEX in_the_way")


def test_a_server_that_can_is_used_unless_it_is_switched_off(db: psycopg.Connection) -> None:
    skip_unless_columnar(db)
    with db.cursor() as cursor:
        engine = engine_in_use(cursor)
    assert probe(db) is None
    assert Loader.of(db, engine, "auto", 7) == Loader(copy=True, refuses_repeats=False, columnar_from=7)
    assert Loader.of(db, engine, "off", 7) == Loader(copy=True, refuses_repeats=False)


def test_many_rows_become_columns_and_few_rows(db: psycopg.Connection) -> None:
    skip_unless_columnar(db)
    land(db, 1)  # its chunk is there
    before = landed("columns"), landed("rows")
    for count in (1_000, 999):
        with db.transaction():
            LANDING.put(db, rows(count, NOON + count))
    assert (landed("columns") - before[0], landed("rows") - before[1]) == (1_000, 999)
    assert everything(db)[0] == 2_000


def test_readings_of_any_order_are_found_in_theirs(db: psycopg.Connection) -> None:
    """The server is told that rows come sorted, and does not look."""
    skip_unless_columnar(db)
    land(db, 1)
    order = np.random.default_rng(1).permutation(5_000)
    shuffled = Batch((order % 7 + 2).astype(np.int32), NOON + order, order.astype(np.float64))
    with db.transaction():
        write(db, shuffled, Frontier(), LANDING)
    assert status(db) != [0], "in columns"
    found = db.execute("SELECT value FROM telemetry_reading WHERE series_id = 3 ORDER BY series_id, time").fetchall()
    assert [row[0] for row in found] == [number for number in range(5_000) if number % 7 == 1]
    pieces = db.execute("SELECT series_id, value FROM telemetry_reading WHERE series_id > 1").fetchall()
    assert len(pieces) == 5_000
    assert [row[1] for row in pieces] == sorted((row[1] for row in pieces), key=lambda value: (value % 7, value))


def test_rows_that_another_drain_is_just_writing_into_a_new_chunk_are_not_hidden(db: psycopg.Connection) -> None:
    """TimescaleDB takes a chunk that was not there a moment ago for empty, and then looks for columns alone."""
    skip_unless_columnar(db)
    with connect(autocommit=False) as other, connect(autocommit=True) as third:
        LANDING.put(other, rows(100))

        def write_columns() -> None:
            with db.transaction():
                LANDING.put(db, rows(5_000, NOON + 1))

        writing = threading.Thread(target=write_columns)
        writing.start()
        waits = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: third.execute(waits, [db.info.backend_pid]).fetchone() == ("Lock",))
        other.commit()
        writing.join()
    assert everything(db)[:2] == (5_100, 5_100)


def test_a_chunk_that_the_retention_dropped_comes_back_as_rows(db: psycopg.Connection) -> None:
    """Its process remembers that the chunk is there."""
    skip_unless_columnar(db)
    land(db, 10)
    with db.cursor() as cursor:
        engine_in_use(cursor).drop_before(cursor, NOON + 30 * 86_400_000_000)
    with db.transaction():
        LANDING.put(db, rows(2_000))
    assert status(db) == [0]
    with db.transaction():
        LANDING.put(db, rows(2_000, NOON + 1))
    assert status(db) == [11]
    assert everything(db)[0] == 4_000
