"""How the shard's judged position follows its stored one: chunk by chunk, or behind it while judging fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from alerts.record import record
from iotplatform.env import Config
from telemetry import measures
from telemetry.log.entries import ordinal
from telemetry.log.redis_streams import RedisLog
from telemetry.savepoint import savepoint
from telemetry.store import positions
from telemetry.store.chunk import Chunk, take
from telemetry.store.frontier import Frontier
from telemetry.store.positions import Position
from telemetry.store.write import Stored
from thresholds import unjudged
from thresholds.judge import Before, Judge, ThresholdJudge
from thresholds.rule import Flapping

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]
Pipeline = psycopg.Pipeline

_BYTES_A_READING = 28
_CATCH_UP_CHUNKS = 4

#: Told, in the drain's transaction, that about so many readings of a shard will never be judged.
OnUnjudged = Callable[[Connection, int, int], None]


def threshold_judge(log: RedisLog, config: Config) -> ThresholdJudge:
    """The judge of a worker: by the thresholds in the database, writing alerts."""
    flapping = Flapping(config.alert_flapping_openings, round(config.alert_flapping_minutes * 60e6))
    return ThresholdJudge(record, log, flapping)


class ShardJudging:
    """Judges what one shard's drain stores. Every judgement has a savepoint: where it fails, what was stored stays.

    ``pipeline`` is one that the connection is in.
    """

    def __init__(
        self,
        shard: int,
        log: RedisLog,
        judge: Judge,
        config: Config,
        on_unjudged: OnUnjudged | None = None,
    ) -> None:
        self._shard = shard
        self._log = log
        self._judge = judge
        self._config = config
        self._on_unjudged = on_unjudged

    def chunk(
        self,
        connection: Connection,
        pipeline: Pipeline,
        before: Position,
        moved: Position,
        chunk: Chunk,
        stored: Stored,
        frontier: Frontier,
        read_at: int | None,
    ) -> Position:
        """Judge a chunk that was just stored; answers ``moved`` with how far the shard is judged now.

        ``frontier`` is that before the chunk; ``read_at``: when the log was read to its end (µs since 1970), None where
        more waits.
        """

        def of(series: NDArray[np.int32]) -> NDArray[np.int64]:
            return frontier.of(connection, series)

        caught_up = self.late(connection, pipeline, before, frontier)
        if caught_up.judged == caught_up.stored:
            clock = chunk.payloads[-1].received_at if read_at is None else read_at
            duplicate = stored.duplicate if stored.duplicate.any() else None
            if self._judged(connection, pipeline, chunk, Before(caught_up.judged, of, duplicate, clock)):
                return replace(moved, judged=moved.stored, judged_offset=moved.stored_offset)
        series = np.unique(chunk.batch.series)
        unjudged.remember(connection, self._shard, series, of(series))
        moved = replace(moved, judged=caught_up.judged, judged_offset=caught_up.judged_offset)
        if moved.stored_offset - moved.judged_offset > self._config.log_max_bytes // 2:
            return self._leave_unjudged(connection, pipeline, moved)
        return moved

    def late(self, connection: Connection, pipeline: Pipeline, position: Position, frontier: Frontier) -> Position:
        """Judge what was stored while judging failed, in log order, some chunks at a time."""
        behind = position.judged != position.stored
        for _ in range(_CATCH_UP_CHUNKS):
            if position.judged == position.stored:
                break
            reading = self._log.read(self._shard, position.judged, self._config.drain_max_rows * _BYTES_A_READING)
            stored = [entry for entry in reading.entries if ordinal(entry.id) <= ordinal(position.stored)]
            if not stored:  # the log no longer has them
                return self._leave_unjudged(connection, pipeline, position)
            aside = positions.entries_set_aside(connection, self._shard, stored)
            entries = [entry for entry in stored if entry.id not in aside]
            chunk, whole = take(entries, self._config.drain_max_rows)
            if entries and (chunk is None or not self._judged_late(connection, pipeline, chunk, position, frontier)):
                break
            last = stored[-1] if chunk is None or whole else chunk.last
            position = replace(position, judged=last.id, judged_offset=last.offset)
        if behind and position.judged == position.stored:
            unjudged.forget(connection, self._shard)
        return position

    def look(
        self, connection: Connection, pipeline: Pipeline, position: Position, frontier: Frontier, read_at: int
    ) -> Position:
        """Nothing waits to be stored; the log was read at that moment (µs since 1970)."""
        position = self.late(connection, pipeline, position, frontier)
        if position.judged == position.stored:
            before = Before(position.judged, lambda series: frontier.of(connection, series), None, read_at)
            look = partial(self._judge.look, connection, self._shard, before)
            self._tried(connection, pipeline, look, position.judged)
        return position

    # --- inside -------------------------------------------------------------------------------------------------

    def _judged(self, connection: Connection, pipeline: Pipeline, chunk: Chunk, before: Before) -> bool:
        judge = partial(self._judge.judge, connection, self._shard, chunk, before)
        return self._tried(connection, pipeline, judge, chunk.last.id)

    def _judged_late(
        self, connection: Connection, pipeline: Pipeline, chunk: Chunk, position: Position, frontier: Frontier
    ) -> bool:
        """Judge by the frontier as it was then, and move that on."""
        series = np.unique(chunk.batch.series)

        def judge() -> None:
            kept = unjudged.frontier_of(connection, series)

            def of(asked: NDArray[np.int32]) -> NDArray[np.int64]:
                newest = frontier.of(connection, asked).copy()
                for place, one in enumerate(asked.tolist()):
                    newest[place] = kept.get(one, newest[place])
                return newest

            before = Before(position.judged, of, self._repeats(connection, chunk))
            self._judge.judge(connection, self._shard, chunk, before)
            newest = np.full(len(series), np.iinfo(np.int64).min)
            np.maximum.at(newest, np.searchsorted(series, chunk.batch.series), chunk.batch.times)
            unjudged.advance(connection, series, newest)

        return self._tried(connection, pipeline, judge, chunk.last.id)

    def _repeats(self, connection: Connection, chunk: Chunk) -> NDArray[np.bool_] | None:
        """Rows of entries of which some were found stored before: which of them is not known any more."""
        repeats = positions.duplicates_in(connection, self._shard, chunk.entries)
        if not repeats:
            return None
        return np.array([entry.id in repeats for entry in chunk.entries], np.bool_)[chunk.entry_of]

    def _tried(self, connection: Connection, pipeline: Pipeline, judge: Callable[[], None], entry: str) -> bool:
        try:
            with savepoint(connection, pipeline):
                judge()
        except Exception as error:
            # What the judge keeps in memory may hold what the savepoint took back.
            self._judge.forget(self._shard)
            if connection.closed:
                raise psycopg.OperationalError("the connection was lost while judging") from error
            logger.exception("judging_failed", extra={"shard": self._shard, "entry": entry})
            measures.drain_errors.labels(kind="judge").inc()
            return False
        return True

    def _leave_unjudged(self, connection: Connection, pipeline: Pipeline, position: Position) -> Position:
        """Go on without judging what was stored so far."""
        logger.error(
            "range_left_unjudged", extra={"shard": self._shard, "after": position.judged, "upto": position.stored}
        )
        readings = max(0, position.stored_offset - position.judged_offset) // _BYTES_A_READING
        measures.readings_unjudged.inc(readings)
        unjudged.forget(connection, self._shard)
        if (tell := self._on_unjudged) is not None:
            self._tried(connection, pipeline, partial(tell, connection, self._shard, readings), position.judged)
        return replace(position, judged=position.stored, judged_offset=position.stored_offset)
