"""The thread of a worker that sorts columnar chunks which are written no more: oldest first, one at a time, half of the time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from telemetry import measures
from telemetry.database import connect
from telemetry.deadline import BoundedConnection
from telemetry.timeseries.compaction import Outcome, compact
from telemetry.timeseries.engine import Cursor, Unsorted, engine_in_use

__all__ = ["Backlog", "Compactor", "backlog", "worker"]

logger = logging.getLogger(__name__)

#: A drain waits this long (s) for a chunk that is being sorted; after each attempt that gave way twice as long.
_PATIENCE_SECONDS = 0.25
#: After so many attempts that gave way, the last of them after 2 s, a chunk is sorted whoever waits.
_ATTEMPTS_THAT_GIVE_WAY = 4
#: After an attempt in vain a chunk is left alone so long, after each further one twice as long.
_REST_SECONDS = 60.0
_MOST_REST_SECONDS = 3600.0
#: A sorted chunk is not sorted again sooner: readings that come late in many pieces would have it sorted for each.
_AGAIN_SECONDS = 3600.0
#: After a chunk the machine has a pause as long as the work was, up to this (s).
_MOST_PAUSE_SECONDS = 60.0
_LOCK = "telemetry.compaction"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What there is to sort."""

    chunks: int
    #: Of them, those that have columns as they were landed, and those that have rows; ended or not.
    landed: int
    rows: int
    #: Those that are due: since their time is over, or since something came late.
    due: int


def backlog(cursor: Cursor, config: Any, now: int | None = None) -> Backlog:
    """All 0 but the chunks, where readings are not columnar. ``now`` in µs since 1970."""
    now = int(time.time() * 1e6) if now is None else now
    before = now - config.compact_after_minutes * 60_000_000
    engine = engine_in_use(cursor)
    ranges = engine.ranges(cursor)
    waiting = engine.unsorted(cursor, max((part.end for part in ranges), default=0))
    return Backlog(
        chunks=len(ranges),
        landed=sum(chunk.landed for chunk in waiting),
        rows=sum(chunk.rows for chunk in waiting),
        due=sum(chunk.end <= before for chunk in waiting),
    )


@dataclass(frozen=True, slots=True)
class _Rest:
    """Of a chunk: attempts in vain, those of them that gave way, and until when it is left alone."""

    vain: int = 0
    gave_way: int = 0
    until: float = 0.0


class Compactor:
    """At most one in this process, and in the database: a lock of its own sees to that. A daemon: what it did not finish
    when its worker stops is undone by the server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._resting: dict[str, _Rest] = {}

    def pump(self, config: Any, may_go_on: Callable[[psycopg.Connection[Any]], bool]) -> None:
        """See that a thread is at it if there is anything to do. Returns at once."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            with connect(autocommit=True) as connection:
                if self._next(connection, config) is None:
                    return
            self._thread = threading.Thread(target=self._run, args=(config, may_go_on), name="compaction", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Until the thread has nothing left to do; False where it has after all."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def stop(self) -> None:
        """Begin no other chunk."""
        self._stop.set()

    def work(
        self, config: Any, may_go_on: Callable[[psycopg.Connection[Any]], bool], now: int | None = None
    ) -> list[tuple[str, Outcome]]:
        """Sort what is due until nothing is; answers each attempt. ``now`` in µs since 1970; ``may_go_on`` is asked before
        each chunk."""
        tried: list[tuple[str, Outcome]] = []
        with _patient() as connection, _one_at_a_time(connection) as alone:
            while alone and may_go_on(connection) and not self._stop.is_set():
                chunk = self._next(connection, config, now)
                if chunk is None:
                    break
                began = self._clock()
                outcome = self._attempt(chunk)
                tried.append((chunk.table, outcome))
                self._stop.wait(min(self._clock() - began, _MOST_PAUSE_SECONDS))
        return tried

    def _run(self, config: Any, may_go_on: Callable[[psycopg.Connection[Any]], bool]) -> None:
        try:
            self.work(config, may_go_on)
        except Exception:
            # The database, most likely; beat starts another thread.
            logger.exception("compaction_interrupted")
            measures.compactions.labels("failed").inc()

    def _next(self, connection: psycopg.Connection[Any], config: Any, now: int | None = None) -> Unsorted | None:
        """The oldest chunk that ended long enough ago and is not left alone at the moment."""
        now = int(time.time() * 1e6) if now is None else now
        before = now - config.compact_after_minutes * 60_000_000
        with connection.cursor() as cursor:
            due = engine_in_use(cursor).unsorted(cursor, before)
        names, clock = {chunk.table for chunk in due}, self._clock()
        self._resting = {name: rest for name, rest in self._resting.items() if name in names or rest.until > clock}
        for chunk in due:
            if clock >= self._resting.get(chunk.table, _Rest()).until:
                return chunk
        return None

    def _attempt(self, chunk: Unsorted) -> Outcome:
        before = self._resting.pop(chunk.table, _Rest())
        insists = before.gave_way >= _ATTEMPTS_THAT_GIVE_WAY
        began = self._clock()
        try:
            outcome = compact(_patient, chunk, None if insists else _PATIENCE_SECONDS * 2**before.gave_way)
        except psycopg.Error:
            # One chunk that cannot be sorted holds up no other.
            self._rest(chunk, before, before.gave_way)
            raise
        seconds = self._clock() - began
        if outcome in ("gave_way", "held"):
            self._rest(chunk, before, before.gave_way + (outcome == "gave_way"))
        elif outcome == "done":
            self._resting[chunk.table] = _Rest(until=self._clock() + _AGAIN_SECONDS)
            measures.compaction_seconds.observe(seconds)
        measures.compactions.labels(outcome).inc()
        logger.info(
            "chunk_compacted",
            extra={"chunk": chunk.table, "outcome": outcome, "seconds": round(seconds, 2), "insisted": insists},
        )
        return outcome

    def _rest(self, chunk: Unsorted, before: _Rest, gave_way: int) -> None:
        seconds = min(_REST_SECONDS * 2 ** min(before.vain, 10), _MOST_REST_SECONDS)
        self._resting[chunk.table] = _Rest(before.vain + 1, gave_way, self._clock() + seconds)


def _patient() -> BoundedConnection:
    """A connection whose statements may take as long as they do."""
    connection = connect(autocommit=True)
    connection.let_statements_take(0)
    return connection


@contextmanager
def _one_at_a_time(connection: psycopg.Connection[Any]) -> Iterator[bool]:
    """Whether this is the only one in the database; it ends with the connection at the latest."""
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [_LOCK]).fetchone()
    alone = bool(row and row[0])
    try:
        yield alone
    finally:
        if alone:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [_LOCK])


#: That of this process.
worker = Compactor()
