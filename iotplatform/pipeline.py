"""The way of a reading, from the log to the table.

    bytes → gateway → decode → validate → accept → log                            (telemetry.gateways, telemetry.intake)
    log → read → make room → lock position → store → mark → judge → quarantine → move position → COMMIT → remember → trim

Everything between lock and COMMIT is one transaction. A crash before COMMIT means that the drain is done again; after
it, the position says so. Whatever is kept in memory (frontier, series, position) is advanced only after COMMIT and
dropped after any error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from iotplatform.env import Config
from iotplatform.judging import OnUnjudged, ShardJudging
from telemetry import measures, tracing
from telemetry.database import is_data_fault
from telemetry.deadline import BoundedConnection
from telemetry.last_seen import LastSeen
from telemetry.log.entries import Entry, Reading
from telemetry.log.redis_streams import RedisLog
from telemetry.quarantine.write import quarantine_entry, quarantine_orphans, quarantine_refused
from telemetry.registry.young_series import YoungSeries
from telemetry.rollups.marks import mark
from telemetry.store import positions
from telemetry.store.attempt import Attempt
from telemetry.store.chunk import Chunk, take
from telemetry.store.frontier import Frontier
from telemetry.store.known_series import KnownSeries
from telemetry.store.late import LateReadings
from telemetry.store.loaders import Loader
from telemetry.store.outcomes import outcomes_of
from telemetry.store.positions import Position
from telemetry.store.retained import Retained
from telemetry.store.segments import follow_segments
from telemetry.store.write import write
from telemetry.timeseries.columnar import BeingSorted
from telemetry.timeseries.coverage import Coverage
from telemetry.timeseries.engine import engine_in_use
from thresholds import unjudged
from thresholds.judge import Judge

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_BYTES_A_READING = 28
_CHECKPOINT_SECONDS = 10.0
_LOOK_FOR_LOST_SECONDS = 10.0
_LATENCIES_A_DRAIN = 64
#: A connection that was silent for longer is asked first whether it still answers: a drain's own patience is far longer.
_HEARD_WITHIN_SECONDS = 1.0
#: After so long without its lock, somebody has it who was forgotten: longer than any drain waits for any answer.
_LOCKED_OUT_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Drained:
    """What one drain did."""

    entries: int = 0
    readings: int = 0
    #: There is more to do at once.
    more: bool = False


@dataclass(slots=True)
class _Memory:
    """What a process knows of a shard while it is the one that drains it: true at ``position`` and nowhere else."""

    position: Position
    frontier: Frontier
    checkpoint_at: float


class ShardDrain:
    """Drains one shard in one process. Another process may do so at any time: the position's row decides.

    Not thread-safe. ``connect`` makes a connection in autocommit mode; ``clock`` is monotonic, ``wall`` the wall clock,
    both in seconds.
    """

    def __init__(
        self,
        shard: int,
        log: RedisLog,
        judge: Judge,
        config: Config,
        connect: Callable[[], BoundedConnection],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_unjudged: OnUnjudged | None = None,
    ) -> None:
        self.shard = shard
        self._log = log
        self._judge = judge
        self._judging = ShardJudging(shard, log, judge, config, on_unjudged)
        self._config = config
        self._connect = connect
        self._clock = clock
        self._wall = wall
        self._connection: BoundedConnection | None = None
        self._coverage: Coverage | None = None
        self._loader = Loader(copy=True)
        #: Which index the table had when these two were made.
        self._index: int | None = None
        self._late = LateReadings()
        self._memory: _Memory | None = None
        self._series = KnownSeries(YoungSeries(self._log))
        self._last_seen = LastSeen()
        self._retained = Retained(config.log_keep_seconds, config.log_keep_bytes)
        self._looked_for_lost_at = clock()
        self._locked_out_since: float | None = None

    @property
    def columnar_from(self) -> int | None:
        """So many new readings in one drain and more are written into columns; None: none ever are."""
        return self._loader.columnar_from

    # --- the way ------------------------------------------------------------------------------------------------

    def drain(self) -> Drained:
        """Store what waits, as much as one transaction takes. Raises what was not the data's fault."""
        try:
            return self._drain(self._connected())
        except BeingSorted:
            return Drained()  # nothing was done: all of it waits in the log, in its order, until the next drain
        except psycopg.errors.DeadlockDetected:
            # With whoever compresses or sorts a chunk that was read here and was to be written: all was taken back.
            self.close()
            measures.drain_errors.labels(kind="deadlock").inc()
            return Drained(more=True)
        except BaseException as error:
            # The COMMIT may or may not have happened: whatever is remembered may be wrong now.
            self.close()
            measures.drain_errors.labels(kind=type(error).__name__).inc()
            raise

    def _drain(self, connection: Connection) -> Drained:
        started = self._clock()
        began = time.time_ns()
        position = self._memory.position if self._memory else positions.look(connection, self.shard)
        if position.index != self._index:
            self._look_at_table(connection, position)
        read_at = int(self._wall() * 1e6)
        reading = self._log.read(self.shard, position.stored, self._config.drain_max_rows * _BYTES_A_READING)
        if positions.log_was_replaced(position, reading):
            return self._start_over(connection, position, reading)
        if not reading.entries and self._is_quiet(connection, position, reading):
            self._trim(position)
            return Drained()
        attempt = Attempt(self._log, self.shard, position.stored, self._config.drain_attempts)
        entries = attempt.begin(reading.entries)
        try:
            if attempt.is_hopeless:
                raise ValueError("its drain ended without a word every time")
            chunk, whole = take(entries, self._config.drain_max_rows)
            if chunk is None and entries:
                logger.warning("entry_of_newer_release_waits", extra={"shard": self.shard, "entry": entries[0].id})
                attempt.withdraw()
                return Drained()
            complete = reading.complete and whole and len(entries) == len(reading.entries)
            done = self._commit(connection, position, reading, chunk, complete, read_at)
        except Exception as error:
            if not entries or not is_data_fault(error):
                attempt.forget()
                raise
            return self._after_failure(attempt, reading, entries[0], position, error)
        if done.entries:
            assert self._memory is not None
            self._trim(self._memory.position, stored=True, attempted=attempt.subjects)
            measures.drain_seconds.observe(self._clock() - started)
            measures.drain_readings.observe(done.readings)
            if tracing.spans is not None and chunk is not None:
                tracing.spans.stored(self.shard, chunk.traced(), began, time.time_ns())
        else:
            attempt.withdraw()
        return done

    def _commit(
        self,
        connection: Connection,
        expected: Position,
        reading: Reading,
        chunk: Chunk | None,
        complete: bool,
        read_at: int,
    ) -> Drained:
        """The transaction. ``complete``: with this chunk the log is stored to its end, as it was at ``read_at``."""
        if chunk is not None:
            self._make_room(connection, chunk)
        with connection.transaction():
            position = positions.lock(connection, self.shard)
            if position is None:
                self._locked_out(connection)
                return Drained()  # another drain has the shard, and looks at the log again after its COMMIT
            self._locked_out_since = None
            if replace(position, series_epoch=expected.series_epoch) != expected:
                self._memory = None
                return Drained(more=True)
            if chunk is not None and self._coverage is not None:
                self._late.wait(connection, self._loader, self._coverage.over(chunk.batch.times, read_at))
            memory = self._take_over(connection, position)
            if positions.log_was_trimmed(position, reading):
                self._report_gap(position, reading)
            moved, replayed = follow_segments(connection, position, reading, chunk.entries if chunk else [], complete)
            if complete:
                self._look_for_lost(connection, moved.segment)
            if chunk is not None:
                moved = replace(moved, stored=chunk.last.id, stored_offset=chunk.last.offset)
                devices = self._series.devices(connection, chunk.batch.series)
                orphans = chunk.split_off(devices != 0)
                quarantine_orphans(connection, orphans)
                stored = write(connection, chunk.batch, memory.frontier, self._loader)
            # From here on answers are waited for only where one is needed, and for all that is left at the end.
            with connection.pipeline() as pipeline:
                # What follows asks for few rows, by their keys, and so do foreign keys at the COMMIT. The server keeps those
                # plans as long as the connection: one that was made while a table was small would read all of it ever after.
                connection.execute("SET LOCAL enable_seqscan = off")
                if chunk is None:
                    moved = self._judging.look(connection, pipeline, moved, memory.frontier, read_at)
                    positions.move(connection, moved, 0)
                else:
                    mark(connection, stored.written)
                    now = read_at if complete else None
                    moved = self._judging.chunk(
                        connection, pipeline, position, moved, chunk, stored, memory.frontier, now
                    )
                    quarantined = quarantine_refused(connection, chunk)
                    outcomes = outcomes_of(chunk, stored, orphans, replayed)
                    positions.record_outcomes(connection, self.shard, outcomes)
                    self._save_checkpoint(connection, memory)
                    positions.move(connection, moved, len(stored.written))
        memory.position = moved
        self._judge.committed(self.shard)
        if chunk is None:
            self._trim(moved)
            return Drained()
        memory.frontier.advance(stored.written)
        self._measure(chunk, len(stored.written), stored.duplicate, stored.conflict, quarantined, len(orphans.batch))
        self._last_seen.note(devices[devices != 0], chunk)
        self._retained.committed(self._clock(), moved.stored, moved.stored_offset)
        return Drained(len(chunk.entries), len(chunk.batch), more=not complete)

    # --- the steps ----------------------------------------------------------------------------------------------

    def _make_room(self, connection: Connection, chunk: Chunk) -> None:
        """Ranges that the chunk needs are made before the transaction: they take locks that others would wait for."""
        assert self._coverage is not None
        with connection.cursor() as cursor:
            made = self._coverage.ensure(cursor, chunk.batch.times)
        if made:
            measures.partitions_made.inc(made)

    def _take_over(self, connection: Connection, position: Position) -> _Memory:
        """Under the lock: begin from the saved frontier where this process was not the last to drain the shard."""
        self._series.use_epoch(position.series_epoch)
        if self._memory is None:
            frontier = Frontier()
            if saved := positions.load_checkpoint(connection, self.shard):
                frontier.load(*saved)
            self._memory = _Memory(position, frontier, self._clock())
            self._judge.forget(self.shard)
            measures.shard_takeovers.inc()
        return self._memory

    def _save_checkpoint(self, connection: Connection, memory: _Memory) -> None:
        """Now and then keep the frontier, so that another process takes the shard over quickly."""
        if self._clock() - memory.checkpoint_at >= _CHECKPOINT_SECONDS:
            positions.save_checkpoint(connection, self.shard, *memory.frontier.checkpoint())
            memory.checkpoint_at = self._clock()

    def _locked_out(self, connection: Connection) -> None:
        """Another drain has the shard; one that nobody is behind any more is ended, or it would keep it for ever."""
        now = self._clock()
        if self._locked_out_since is None:
            self._locked_out_since = now
        elif now - self._locked_out_since >= _LOCKED_OUT_SECONDS:
            self._locked_out_since = now
            if ended := positions.end_forgotten_drains(connection, _LOCKED_OUT_SECONDS):
                logger.warning("forgotten_drains_ended", extra={"shard": self.shard, "sessions": ended})

    def _report_gap(self, position: Position, reading: Reading) -> None:
        """The database was set back further than the log is kept: what lies between is stored nowhere any more."""
        logger.error(
            "stored_readings_are_gone", extra={"shard": self.shard, "after": position.stored, "upto": reading.trimmed}
        )
        measures.log_lost.inc()

    def _look_for_lost(self, connection: Connection, segment: str) -> None:
        """The log was read to its end: runs of which it has no entry at all were lost with it."""
        if self._clock() - self._looked_for_lost_at >= _LOOK_FOR_LOST_SECONDS:
            self._looked_for_lost_at = self._clock()
            positions.end_unseen_segments(connection, self.shard, segment)

    def _is_quiet(self, connection: Connection, position: Position, reading: Reading) -> bool:
        """Nothing to write at all."""
        return (
            self._memory is not None
            and position.generation == reading.generation
            and position.segment == reading.segment
            and position.judged == position.stored
            and self._clock() - self._looked_for_lost_at < _LOOK_FOR_LOST_SECONDS
            and self._judge.is_quiet(connection, self.shard)
        )

    def _trim(self, position: Position, *, stored: bool = False, attempted: Sequence[str] = ()) -> None:
        """Remove what was kept long enough, and say how far the log is stored, and that these attempts succeeded."""
        now = self._clock()
        self._last_seen.hand_over(self._log, now)
        upto = self._retained.due(now, position.judged, self._log.memory_taken())
        if upto is not None or stored:
            self._log.trim(self.shard, upto, position.stored_offset, attempted)

    # --- when something is wrong ----------------------------------------------------------------------------------

    def _start_over(self, connection: Connection, position: Position, reading: Reading) -> Drained:
        """The log is another one, or an older copy: read it from its start. Repeats are absorbed as duplicates."""
        with connection.transaction():
            locked = positions.lock(connection, self.shard)
            if locked is None:
                return Drained()
            if locked == position:
                positions.end_segment(connection, self.shard, position.segment, position.stored)
                positions.open_segment(connection, self.shard, reading.segment)
                positions.move(connection, position.restarted(reading), 0)
                unjudged.forget(connection, self.shard)
        self._memory = None
        # Ids of another log say nothing about this one's: with a clock set back, old ones would never fall due.
        self._retained = Retained(self._config.log_keep_seconds, self._config.log_keep_bytes)
        if locked == position:
            logger.error(
                "log_was_replaced",
                extra={"shard": self.shard, "stored": position.stored, "last_in_log": reading.last_id},
            )
            measures.log_lost.inc()
        return Drained(more=True)

    def _after_failure(
        self, attempt: Attempt, reading: Reading, first: Entry, position: Position, error: Exception
    ) -> Drained:
        """The data may be at fault. It is tried again at once, after some tries entry by entry."""
        self.close()
        measures.drain_errors.labels(kind="data").inc()
        logger.error(
            "drain_failed",
            extra={"shard": self.shard, "after": position.stored, "alone": attempt.alone, "error": repr(error)[:500]},
        )
        if attempt.failed():
            self._set_aside(reading, first, position, error)
            attempt.forget()
        return Drained(more=True)

    def _set_aside(self, reading: Reading, entry: Entry, position: Position, error: Exception) -> None:
        """An entry that fails every time goes to quarantine with its bytes, so that it holds up nothing behind it."""
        connection = self._connected()
        with connection.transaction():
            if positions.lock(connection, self.shard) != position:
                return
            quarantine_entry(connection, entry, repr(error))
            positions.record_outcomes(connection, self.shard, [(entry.segment, entry.id, 0, 0, positions.WHOLE_ENTRY)])
            moved, _ = follow_segments(connection, position, reading, [entry], complete=False)
            moved = replace(moved, stored=entry.id, stored_offset=entry.offset)
            if position.judged == position.stored:
                moved = replace(moved, judged=moved.stored, judged_offset=moved.stored_offset)
            positions.move(connection, moved, 0)
        measures.poison_entries.inc()
        logger.error("entry_set_aside", extra={"shard": self.shard, "entry": entry.id, "error": repr(error)[:500]})

    def close(self) -> None:
        """Forget everything and hang up. The next drain begins from what the database says."""
        self._memory = None
        self._judge.forget(self.shard)
        self._series = KnownSeries(YoungSeries(self._log))
        self._coverage = self._index = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.answers(heard_within=_HEARD_WITHIN_SECONDS):
            self.close()
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _look_at_table(self, connection: Connection, position: Position) -> None:
        """How readings are written on this connection, to a table with the index that the position was seen with."""
        with connection.cursor() as cursor:
            engine = engine_in_use(cursor)
        self._coverage = Coverage(engine, self._config.partition_days)
        self._loader = Loader.of(connection, engine, self._config.timeseries_columnar, self._config.columnar_min_rows)
        self._index = position.index

    def _measure(
        self, chunk: Chunk, written: int, duplicate: Any, conflict: Any, quarantined: dict[str, int], orphans: int
    ) -> None:
        measures.readings_stored.inc(written)
        measures.readings_duplicate.inc(int(duplicate.sum()))
        measures.readings_conflict.inc(int(conflict.sum()))
        for code, count in ({**quarantined, "unknown_device": quarantined.get("unknown_device", 0) + orphans}).items():
            measures.readings_quarantined.labels(code=code).inc(count)
        now = time.time()
        # A drain of single readings has tens of thousands of entries: an even sample of them says as much.
        for payload in chunk.payloads[:: 1 + len(chunk.payloads) // _LATENCIES_A_DRAIN]:
            measures.ingest_latency_seconds.observe(max(0.0, now - payload.received_at / 1e6))
