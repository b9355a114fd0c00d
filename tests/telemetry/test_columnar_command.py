"""`manage.py columnar`: there and back, with readings in between, and after it was interrupted."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.core.management import CommandError, call_command

from iotplatform.env import config
from telemetry.compaction import Compactor
from telemetry.database import connect
from telemetry.store import positions
from telemetry.timeseries.columnar import Columnar, unsound
from telemetry.timeseries.engine import engine_in_use
from tests.builders import make_device, make_drain, make_key, post_readings
from tests.telemetry.columnar import DAY, NOON, everything, land, skip_unless_columnar, status
from tests.telemetry.test_compaction import LATER, SOON, always

pytestmark = pytest.mark.usefixtures("platform_db")


def columnar(do: str) -> str:
    out = io.StringIO()
    call_command("columnar", do, stdout=out)
    return out.getvalue()


def layout(connection: psycopg.Connection) -> tuple[bool, list[tuple[str, bool, bool]], list[str], list[str]]:
    """Whether it is columnar; each index with whether it is unique and valid; segment by and order by."""
    with connection.cursor() as cursor:
        engine = engine_in_use(cursor)
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text, indisunique, indisvalid FROM pg_index "
        "WHERE indrelid = 'telemetry_reading'::regclass ORDER BY 1"
    ).fetchall()
    settings = connection.execute(
        "SELECT coalesce(segmentby, '{}'), orderby FROM _timescaledb_catalog.compression_settings "
        "WHERE relid = 'telemetry_reading'::regclass"
    ).fetchone()
    assert settings is not None
    return isinstance(engine, Columnar), indexes, *settings


COLUMNAR = (True, [("telemetry_reading_series_time", False, True)], [], ["series_id", "time"])
INDEXED = (False, [("telemetry_reading_series_time", True, True)], ["series_id"], ["time"])


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        skip_unless_columnar(connection)
        yield connection
        connection.execute("TRUNCATE telemetry_reading")
        columnar("on")
        assert layout(connection) == COLUMNAR


def test_there_and_back_keeps_every_reading_and_what_was_compressed(db: psycopg.Connection) -> None:
    columnar("off")
    assert layout(db) == INDEXED
    land(db, 3000, NOON - 14 * DAY, columns=False)
    land(db, 3000, NOON, columns=False)
    with db.cursor() as cursor:
        assert len(engine_in_use(cursor).compress_before(cursor, NOON - 7 * DAY)) == 1
    before = everything(db)
    columnar("on")
    assert layout(db) == COLUMNAR
    land(db, 3000, NOON + 200)
    land(db, 3000, NOON - 14 * DAY + 200)
    after = everything(db)
    assert after[0] == after[1] == before[0] + 6000
    assert [outcome for _, outcome in Compactor().work(SOON, always, LATER)] == ["done", "done"]
    assert everything(db) == after
    assert status(db) == [1, 1]


def test_what_was_landed_is_sorted_after_the_way_back(db: psycopg.Connection) -> None:
    land(db, 3000)
    columnar("off")
    assert layout(db) == INDEXED
    repeated = db.execute(
        "INSERT INTO telemetry_reading SELECT * FROM telemetry_reading ON CONFLICT DO NOTHING"
    ).rowcount
    assert repeated == 0, "the unique index does not see what is in columns"
    assert [outcome for _, outcome in Compactor().work(SOON, always, LATER)] == ["done"]
    assert status(db) == [1]
    assert everything(db)[:2] == (3000, 3000)


def test_drains_that_run_go_on_over_both_ways(db: psycopg.Connection) -> None:
    make_device("pump")
    key = make_key()
    drains = [make_drain(shard) for shard in range(config.shards)]
    start = datetime.now(UTC) - timedelta(hours=1)

    def send(minute: int) -> None:
        times = [(start + timedelta(minutes=minute, seconds=second)).isoformat() for second in range(60)]
        assert (
            post_readings(key, [{"device": "pump", "time": at, "metrics": {"t": 1}} for at in times]).status_code == 202
        )

    def drain() -> None:
        for each in drains:
            while (done := each.drain()).more or done.readings:
                pass

    def landing() -> set[int | None]:
        return {each.columnar_from for each in drains}

    send(1)
    drain()
    assert landing() == {config.columnar_min_rows}
    columnar("off")
    send(1)
    send(2)
    drain()
    assert None in landing(), "it noticed that there is a unique index"
    columnar("on")
    send(2)
    send(3)
    drain()
    assert None not in landing(), "it noticed that there is none"
    assert everything(db)[:2] == (180, 180)
    for each in drains:
        each.close()


def test_a_drain_that_is_under_way_while_the_table_changes_loses_and_doubles_nothing(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index is exchanged after the drain has looked at the table, and before it writes: it writes as it knew."""
    make_device("pump")
    key = make_key()
    monkeypatch.setattr("tests.builders.config", replace(config, columnar_min_rows=10))
    drains = [make_drain(shard) for shard in range(config.shards)]
    start = datetime.now(UTC) - timedelta(hours=1)
    change: list[str] = []
    lock = positions.lock

    def changed_behind_its_back(connection: psycopg.Connection, shard: int) -> positions.Position | None:
        position = lock(connection, shard)
        if change and position is not None:
            columnar(change.pop())
        return position

    monkeypatch.setattr(positions, "lock", changed_behind_its_back)
    for number, do in enumerate(("", "off", "on", "off", "on")):
        change[:] = [do] if do else []
        # Each sends half of what was sent before once more.
        times = [(start + timedelta(seconds=100 * number + second)).isoformat() for second in range(-100, 100)]
        body = [{"device": "pump", "time": at, "metrics": {"t": 1}} for at in times]
        assert post_readings(key, body).status_code == 202
        for each in drains:
            while (done := each.drain()).more or done.readings:
                pass
        assert not change
        assert layout(db) == (INDEXED if do == "off" else COLUMNAR)
        assert everything(db)[:2] == (100 * number + 200,) * 2
    for each in drains:
        each.close()


@pytest.mark.parametrize("leftover", ["CREATE INDEX", "CREATE UNIQUE INDEX"])
@pytest.mark.parametrize("do", ["on", "off"])
def test_an_interrupted_conversion_goes_on(db: psycopg.Connection, do: str, leftover: str) -> None:
    land(db, 300)
    for begun_from in ("off", "on"):
        columnar(begun_from)
        db.execute(f"{leftover} telemetry_reading_coming ON telemetry_reading (series_id, time)")
        columnar(do)
        assert layout(db) == (COLUMNAR if do == "on" else INDEXED)
        assert "already" in columnar(do)


def test_an_index_that_was_not_finished_is_built_again(db: psycopg.Connection) -> None:
    columnar("off")
    db.execute("CREATE INDEX telemetry_reading_coming ON telemetry_reading (series_id, time)")
    db.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'telemetry_reading_coming'::regclass")
    columnar("on")
    assert layout(db) == COLUMNAR


def test_a_reading_that_is_stored_twice_refuses_the_unique_index(db: psycopg.Connection) -> None:
    land(db, 10, columns=False)
    land(db, 10, columns=False)
    with pytest.raises(CommandError, match=r"stored twice.*verify_readings"):
        columnar("off")
    assert layout(db) == COLUMNAR


def test_a_long_query_keeps_it_from_being_exchanged_and_it_says_so(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telemetry.timeseries.conversion._ATTEMPTS", 1)
    with connect(autocommit=False) as reader:
        reader.execute("SELECT count(*) FROM telemetry_reading")
        with pytest.raises(CommandError, match="in use"):
            columnar("off")
    columnar("off")
    assert layout(db) == INDEXED


def test_one_conversion_at_a_time(db: psycopg.Connection) -> None:
    with connect(autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('telemetry.columnar', 0))")
        with pytest.raises(CommandError, match="under way"):
            columnar("off")


def test_status_says_what_is_and_what_could_be(db: psycopg.Connection) -> None:
    land(db, 300, int(time.time() * 1e6) - 30 * DAY)
    assert "is columnar" in columnar("status")
    assert "1 chunks, 1 with columns as they were landed, 0 with rows; 1 are due to be sorted." in columnar("status")
    columnar("off")
    assert "is indexed" in columnar("status") and "columnar on" in columnar("status")


def test_servers_that_cannot_are_told_why(platform_db: None) -> None:
    with connect(autocommit=True) as connection, connection.cursor() as cursor:
        reason, engine = unsound(cursor), engine_in_use(cursor)
    if reason is None:
        pytest.skip("this server can")
    with pytest.raises(CommandError) as refused:
        columnar("on")
    assert str(refused.value) == reason or (engine.name == "partitions" and "partitions" in str(refused.value))
    assert "Readings are in partitions" in columnar("status") or reason in columnar("status")
