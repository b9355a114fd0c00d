"""Late readings never stop, and their chunk is sorted all the same: they wait, and nobody else does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from telemetry import compaction
from telemetry.compaction import Compactor
from telemetry.database import connect
from telemetry.timeseries.compaction import compact
from telemetry.timeseries.engine import as_microseconds
from tests.builders import make_device, make_drain, make_key, post_readings, wait_until
from tests.telemetry.columnar import DAY, everything, land, skip_unless_columnar, status
from tests.telemetry.test_compaction import SOON, always, due

pytestmark = pytest.mark.usefixtures("platform_db")

ROWS = 600_000


@pytest.fixture
def db(platform_db: None) -> Iterator[psycopg.Connection]:
    with connect(autocommit=True) as connection:
        skip_unless_columnar(connection)
        yield connection


def long_ago() -> datetime:
    """In a chunk that is over, and not too old to be taken."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=16)


class LateSender(threading.Thread):
    """One late reading after the other, into the chunk that is sorted, each drained at once."""

    def __init__(self, key: str, device: str, at: datetime) -> None:
        super().__init__(daemon=True)
        self._key, self._device, self._at = key, device, at
        self.over = threading.Event()
        self.sent = 0

    def run(self) -> None:
        drains = [make_drain(shard) for shard in range(SOON.shards)]
        while not self.over.is_set():
            self.sent += 1
            at = (self._at + timedelta(microseconds=self.sent)).isoformat()
            body = [{"device": self._device, "time": at, "metrics": {"late": 1}}]
            assert post_readings(self._key, body).status_code == 202
            for each in drains:
                while (done := each.drain()).more or done.readings:
                    pass
        for each in drains:
            while (done := each.drain()).more or done.readings:
                pass
            each.close()


@pytest.mark.slow
def test_late_readings_without_end_do_not_keep_a_chunk_unsorted(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "_PATIENCE_SECONDS", 0.001)
    day = long_ago()
    land(db, ROWS, as_microseconds(day))
    make_device("pump")
    sender = LateSender(make_key(), "pump", day + timedelta(hours=3))
    sender.start()
    wait_until(lambda: sender.sent > 3)
    now = [100.0]
    compactor = Compactor(clock=lambda: now[0])
    outcomes = []
    while "done" not in outcomes and len(outcomes) < 12:
        outcomes += [outcome for _, outcome in compactor.work(SOON, always)]
        now[0] += 3600
    sorted_while_they_came = status(db)[0] & 2 == 0
    sender.over.set()
    sender.join()
    assert outcomes[:4] == ["gave_way"] * 4, "it gives way first"
    assert outcomes[-1] == "done" and sorted_while_they_came
    assert everything(db)[:2] == (ROWS + sender.sent,) * 2


def test_a_drain_is_put_off_while_its_chunk_is_sorted_and_other_shards_are_not(
    db: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telemetry.store.late._SECONDS", 0.2)
    day = long_ago()
    land(db, 3000, as_microseconds(day))
    (chunk,) = due(db, as_microseconds(datetime.now(UTC)) - DAY)
    for name in ("pump", "fan", "press", "oven", "saw", "mill"):
        make_device(name)
    key = make_key()
    drains = [make_drain(shard) for shard in range(SOON.shards)]
    late = {"device": "pump", "time": (day + timedelta(hours=1)).isoformat(), "metrics": {"t": 1}}
    fresh = [{"device": name, "metrics": {"t": 2}} for name in ("fan", "press", "oven", "saw", "mill")]
    assert post_readings(key, [late, *fresh]).status_code == 202
    with connect(autocommit=False) as sorting:
        sorting.execute(f"LOCK TABLE {chunk.table} IN EXCLUSIVE MODE")
        stored = [each.drain().readings for each in drains]
        assert 0 < sum(stored) < 6, "the shards without late readings go on"
        assert [each.drain().readings for each in drains] == [0] * len(drains)
        held = db.execute(
            "SELECT count(*) FROM pg_locks WHERE relation = to_regclass(%s) AND mode <> 'ExclusiveLock'",
            [chunk.table],
        ).fetchone()
        assert held == (0,), "whoever sorts can have the chunk for himself at the end"
    assert sum(each.drain().readings for each in drains) == 6 - sum(stored)
    assert everything(db)[:2] == (3006, 3006)
    for each in drains:
        each.close()


def test_whoever_insists_is_not_stopped_by_who_waits(db: psycopg.Connection) -> None:
    day = long_ago()
    land(db, ROWS, as_microseconds(day))
    (chunk,) = due(db, as_microseconds(datetime.now(UTC)) - DAY)
    make_device("pump")
    sender = LateSender(make_key(), "pump", day + timedelta(hours=3))
    sender.start()
    outcome = compact(lambda: connect(autocommit=True), chunk, None)
    sender.over.set()
    sender.join()
    assert outcome == "done"
    assert everything(db)[:2] == (ROWS + sender.sent,) * 2
