"""The process or a server dies at any step of a drain: nothing is lost, nothing doubled, no receipt says too much."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from iotplatform import pipeline
from telemetry.log.entries import LogDown
from telemetry.log.redis_streams import RedisLog
from telemetry.store import positions
from telemetry.store.frontier import Frontier
from telemetry.timeseries.coverage import Coverage
from tests.builders import wait_until
from tests.iotplatform.pipeline.parts import (
    SHARD,
    Breakable,
    Broken,
    Killed,
    Source,
    counts,
    drain_to_end,
    drains_connection,
    new_drain,
    new_log,
    position,
    table,
    waiting_in_log,
)

#: Every call of a drain that talks to a server or changes what it remembers, in the order of travel.
SEAMS = [
    (RedisLog, "read"),
    (RedisLog, "begin_attempt"),
    (pipeline, "take"),
    (pipeline.Coverage, "ensure"),
    (positions, "lock"),
    (positions, "load_checkpoint"),
    (pipeline, "follow_segments"),
    (pipeline, "quarantine_orphans"),
    (pipeline, "write"),
    (Frontier, "of"),
    (pipeline, "quarantine_refused"),
    (positions, "record_outcomes"),
    (positions, "move"),
    (Frontier, "advance"),
    (RedisLog, "trim"),
]


def breaks(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, error: BaseException, *, after: bool) -> None:
    """Make one function raise, once, before or after its work."""
    original = getattr(owner, name)
    left = [error]

    def broken(*arguments: Any, **options: Any) -> Any:
        answer = original(*arguments, **options) if after or not left else None
        if left:
            raise left.pop()
        return answer

    monkeypatch.setattr(owner, name, broken)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "name"), SEAMS, ids=[name for _, name in SEAMS])
def test_dying_at_any_step_loses_and_doubles_nothing(
    source: Source, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, after: bool
) -> None:
    first = source.send((0, 0, 1.0), (1, 0, 2.0))
    warm = new_drain()
    drain_to_end(warm)
    later = source.send((0, 1, 3.0), (0, 0, 9.0), (1, -5, 4.0))
    stored_before = table()
    with monkeypatch.context() as patch:
        breaks(patch, owner, name, Killed(), after=after)
        with pytest.raises(Killed):
            drain_to_end(new_drain())
    state, *_ = counts(later)
    assert (state == "stored") == (table() != stored_before), "the receipt and the table must change in one moment"
    drain_to_end(warm)
    assert table() == source.expected()
    assert counts(first) == ("stored", 2, 0, 0, 0)
    assert counts(later) == ("stored", 2, 1, 1, 0)
    assert position().stored == later.entries[0].id


@pytest.mark.parametrize(
    "error", [psycopg.OperationalError("cut"), LogDown("cut"), Killed()], ids=lambda e: type(e).__name__
)
def test_an_error_right_before_commit_stores_nothing_and_leaves_all(source: Source, error: BaseException) -> None:
    class Dying(Breakable):
        def before_commit(self) -> None:
            raise error

    receipt = source.send((0, 0, 1.0))
    with pytest.raises(type(error)):
        drain_to_end(new_drain(kind=Dying))
    assert table() == {}
    assert counts(receipt)[0] == "pending"
    drain_to_end()
    assert table() == source.expected()
    assert counts(receipt) == ("stored", 1, 0, 0, 0)


def test_a_commit_in_doubt_is_asked_for_not_assumed(source: Source) -> None:
    """The COMMIT happened, its answer did not arrive: memory is dropped, nothing trimmed, nothing stored twice."""

    class InDoubt(Breakable):
        broken = False

        def after_commit(self) -> None:
            if not InDoubt.broken:
                InDoubt.broken = True
                self.close()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

    receipt = source.send((0, 0, 1.0), (1, 7, 2.0))
    drain = new_drain(kind=InDoubt, log_keep_seconds=0)
    with pytest.raises(psycopg.OperationalError):
        drain.drain()
    assert len(waiting_in_log()) == 1
    source.send((0, 0, 1.5), (0, 1, 3.0))
    drain_to_end(drain)
    assert table() == source.expected()
    assert counts(receipt) == ("stored", 2, 0, 0, 0)
    assert counts(source.receipts[1]) == ("stored", 1, 1, 1, 0)


def test_a_deadlock_with_who_sorts_a_range_is_tried_again_at_once(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He keeps writers out, and waits for readers to end; a drain that has read there and asks to write is ended at once."""
    source.send((0, 0, 1.0))
    drain_to_end()
    receipt = source.send((0, 0, 2.0), (0, 1, 3.0))
    with drains_connection() as sorting, drains_connection() as observer, drains_connection() as looking:
        (name,) = looking.execute("SELECT tableoid::regclass::text FROM telemetry_reading").fetchone()
        sorting.execute("BEGIN")
        sorting.execute(f"LOCK TABLE {name} IN EXCLUSIVE MODE")
        replace_range = threading.Thread(
            target=lambda: (sorting.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"), sorting.execute("COMMIT"))
        )
        waits = "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted"
        original = Frontier.of

        def read_and_kept_waiting(*arguments: Any) -> Any:
            found = original(*arguments)
            if not replace_range.ident:
                replace_range.start()
                wait_until(lambda: observer.execute(waits, [sorting.info.backend_pid]).fetchone())
            return found

        monkeypatch.setattr(Frontier, "of", read_and_kept_waiting)
        # By this machine's clock the range is not over, so the drain does not ask for it before it reads.
        monkeypatch.setattr(Coverage, "over", lambda self, times, now: times[:0])
        drain = new_drain()
        assert drain.drain() == pipeline.Drained(more=True)
        replace_range.join(20)
        drain_to_end(drain)
    assert table() == source.expected()
    assert counts(receipt) == ("stored", 1, 1, 1, 0)


def test_the_position_and_the_readings_are_of_one_transaction(source: Source) -> None:
    """Whoever looks from another connection sees both or neither, at every step."""
    looks: list[tuple[bool, bool]] = []

    class Looking(Breakable):
        def before_commit(self) -> None:
            looks.append((bool(table()), position().stored != "0-0"))

        after_commit: Callable[[], None] = before_commit

    source.send((0, 0, 1.0))
    drain_to_end(new_drain(kind=Looking))
    # Where COPY writes columns, a new connection first tries it, in a transaction of its own.
    assert set(looks) == {(False, False), (True, True)} and looks == sorted(looks)


def test_an_outage_of_the_database_sets_nothing_aside(source: Source) -> None:
    receipts = list(source.numbers(3))
    for _ in range(3 * pipeline_attempts()):
        with pytest.raises(psycopg.OperationalError):
            new_drain(kind=Broken).drain()

    class Cut(Breakable):
        def before_commit(self) -> None:
            self.close()
            raise psycopg.OperationalError("terminating connection due to administrator command")

    broken = new_drain(kind=Cut)
    for _ in range(3 * pipeline_attempts()):
        with pytest.raises(psycopg.OperationalError):
            broken.drain()
    assert drain_to_end() == 3
    assert table() == source.expected()
    assert {counts(receipt) for receipt in receipts} == {("stored", 1, 0, 0, 0)}


def test_an_outage_of_the_log_in_mid_drain_sets_nothing_aside(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the one entry is being taken alone already, at its last try."""
    receipt = source.send((0, 0, 1.0))
    attempts = pipeline_attempts()
    log = new_log()
    log.take_singly(SHARD, receipt.entries[0].id)
    for _ in range(attempts - 1):
        log.begin_attempt(SHARD, f"entry:{receipt.entries[0].id}")
    with monkeypatch.context() as patch:
        breaks(patch, positions, "move", LogDown("away"), after=False)
        with pytest.raises(LogDown):
            new_drain().drain()
    drain_to_end()
    assert table() == source.expected()
    assert counts(receipt) == ("stored", 1, 0, 0, 0)


def test_what_is_remembered_of_a_failed_drain_is_forgotten(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frontier of readings that were rolled back must not hide them as repeats."""
    drain = new_drain()
    source.send((0, 0, 1.0))
    drain_to_end(drain)
    receipt = source.send((0, 10, 2.0), (2, 10, 3.0))
    with monkeypatch.context() as patch:
        breaks(patch, positions, "move", psycopg.OperationalError("lock timeout"), after=True)
        with pytest.raises(psycopg.OperationalError):
            drain.drain()
    drain_to_end(drain)
    assert table() == source.expected()
    assert counts(receipt) == ("stored", 2, 0, 0, 0)


def pipeline_attempts() -> int:
    return new_drain()._config.drain_attempts
