"""Judging: what the drain hands every stored chunk to, in log order, inside its transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray

from telemetry.log.redis_streams import RedisLog
from telemetry.store.chunk import Chunk
from thresholds.ending import end_what_is_gone
from thresholds.evaluate import evaluate
from thresholds.hearing import Hearing
from thresholds.load import load_values, load_versions
from thresholds.machine import Pair, Setting, State
from thresholds.order import NEVER, Arrivals
from thresholds.rule import Flapping
from thresholds.rulebook import Rulebook
from thresholds.silent import break_silence, find_silence
from thresholds.state import load_states, save_late, save_states
from thresholds.states import NO_REST, States
from thresholds.transitions import Judged, Recorder

__all__ = ["Before", "Judge", "NoThresholds", "ThresholdJudge"]

logger = logging.getLogger(__name__)
Connection = psycopg.Connection[Any]

_IN_FORCE = """
INSERT INTO thresholds_rulesinforce (shard, rules, placement, after_entry, at) VALUES (%s, %s, %s, %s, now())
ON CONFLICT (shard, rules, placement) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Before:
    """How things stood before a chunk, for its judge."""

    #: The entry of the log up to which the shard was judged.
    after: str
    #: Newest event time (µs since 1970) of each of some series, thresholds.order.NEVER where there was none.
    frontier: Callable[[NDArray[np.int32]], NDArray[np.int64]]
    #: Rows that were stored before already; None: none.
    duplicate: NDArray[np.bool_] | None = None
    #: The shard's clock, by which silence is judged: the arrival of the oldest reading that is not stored yet, else now.
    #: None: do not look for silence.
    clock: int | None = None


class Judge(Protocol):
    """Judges chunks. It may raise: the readings are stored all the same, and the chunk is judged later."""

    def judge(self, connection: Connection, shard: int, chunk: Chunk, before: Before) -> None:
        """Judge the chunk's readings; entries whose payload says ``judge=False`` are not to be judged."""

    def look(self, connection: Connection, shard: int, before: Before) -> None:
        """Nothing waits: see to what needs no reading, such as changed rules and silence."""

    def is_quiet(self, connection: Connection, shard: int) -> bool:
        """Whether ``look`` has nothing to do. Asked without the shard's lock."""

    def committed(self, shard: int) -> None:
        """The transaction of all that was judged is committed."""

    def forget(self, shard: int) -> None:
        """It may not be, or another process drains the shard: begin from what the database says."""


class NoThresholds:
    """The judge of a platform that has no thresholds."""

    def judge(self, connection: Connection, shard: int, chunk: Chunk, before: Before) -> None:
        """Nothing to judge by."""

    def look(self, connection: Connection, shard: int, before: Before) -> None:
        """Nothing to see to."""

    def is_quiet(self, connection: Connection, shard: int) -> bool:
        return True

    def committed(self, shard: int) -> None:
        """Nothing is kept."""

    def forget(self, shard: int) -> None:
        """Nothing is kept."""


@dataclass(slots=True)
class _Memory:
    """What is known of a shard: true at the position that its transaction ends at, and dropped where that fails."""

    epoch: int
    states: States
    hearing: Hearing
    #: The versions (rules, placement) that what no longer applies was ended under.
    under: tuple[int, int] | None = None
    #: Newest readings of series whose rates are judged: by series the event time and the value.
    newest_at: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    newest: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


class ThresholdJudge:
    """Judges the shards of one worker by the thresholds in the database. Not thread-safe.

    ``record`` writes alerts; ``log`` keeps what was heard of series whose silence is judged; ``clock`` is the wall clock,
    ``monotonic`` the other one, both in seconds.
    """

    def __init__(
        self,
        record: Recorder,
        log: RedisLog,
        flapping: Flapping | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._log = log
        self._flapping = flapping or Flapping()
        self._clock = clock
        self._monotonic = monotonic
        self._rulebook = Rulebook()
        self._shards: dict[int, _Memory] = {}

    def judge(self, connection: Connection, shard: int, chunk: Chunk, before: Before) -> None:
        """As Judge says. What it raises leaves nothing behind in memory."""
        self._with_memory(connection, shard, before, chunk)

    def look(self, connection: Connection, shard: int, before: Before) -> None:
        """As Judge says."""
        self._with_memory(connection, shard, before, None)

    def is_quiet(self, connection: Connection, shard: int) -> bool:
        """Whether rules, placement and the shard's states are what they were, and it is not yet time for silence."""
        memory = self._shards.get(shard)
        if memory is None or memory.hearing.due(self._monotonic()):
            return False
        versions = load_versions(connection, shard)
        return memory.under == (versions.rules, versions.placement) and memory.epoch == versions.epoch

    def committed(self, shard: int) -> None:
        """Hand over what was heard."""
        if (memory := self._shards.get(shard)) is not None:
            memory.hearing.hand_over(self._monotonic())

    def forget(self, shard: int) -> None:
        """Begin from what the database and the log server say."""
        self._shards.pop(shard, None)

    # --- inside -------------------------------------------------------------------------------------------------

    def _with_memory(self, connection: Connection, shard: int, before: Before, chunk: Chunk | None) -> None:
        judged = Judged(int(self._clock() * 1e6), shard)
        try:
            memory, changes = self._refreshed(connection, shard, before.after, judged)
            if chunk is not None and len(chunk.batch) and self._rulebook.compiled.rules:
                self._judge_chunk(connection, memory, chunk, before, judged, changes)
            if before.clock is not None and memory.hearing.due(self._monotonic()):
                self._find_silence(memory, before.clock, judged, changes)
            self._write(connection, judged, changes)
        except BaseException:
            self.forget(shard)
            raise

    def _refreshed(
        self, connection: Connection, shard: int, after: str, judged: Judged
    ) -> tuple[_Memory, dict[Pair, State | None]]:
        """The shard's memory under the present rules; what they end at once."""
        versions = load_versions(connection, shard)
        memory = self._shards.get(shard)
        if memory is None or memory.epoch != versions.epoch:
            hearing = Hearing(self._log, shard)
            memory = self._shards[shard] = _Memory(versions.epoch, load_states(connection, shard), hearing)
        versions = self._rulebook.use(connection, shard, versions)
        if memory.under == (versions.rules, versions.placement):
            return memory, {}
        changes = self._end_what_is_gone(connection, memory, judged)
        self._listen(connection, shard, memory, judged.now)
        connection.execute(_IN_FORCE, [shard, versions.rules, versions.placement, after])
        memory.under = (versions.rules, versions.placement)
        return memory, changes

    def _end_what_is_gone(self, connection: Connection, memory: _Memory, judged: Judged) -> dict[Pair, State | None]:
        rulebook = self._rulebook
        rulebook.learn(connection, np.array(sorted({series for _, series in memory.states}), np.int32))
        found = end_what_is_gone(
            memory.states,
            rulebook.compiled,
            rulebook.places,
            lambda series: rulebook.where(connection, series),
            judged.now,
        )
        memory.states.change(found.states)
        judged.ended += found.ended
        judged.transitions += found.transitions
        return dict(found.states)

    def _listen(self, connection: Connection, shard: int, memory: _Memory, now: int) -> None:
        """Find the series whose silence is to be judged."""
        metrics = sorted({rule.metric for rule in self._rulebook.compiled.rules if rule.condition == "silent"})
        series = np.zeros(0, np.int32)
        if metrics:
            memory.hearing.load()
            series = self._rulebook.learn_metrics(connection, metrics, shard)
        memory.hearing.watch(series, self._rulebook.compiled, now)

    def _judge_chunk(
        self,
        connection: Connection,
        memory: _Memory,
        chunk: Chunk,
        before: Before,
        judged: Judged,
        changes: dict[Pair, State | None],
    ) -> None:
        compiled, batch = self._rulebook.compiled, chunk.batch
        judged.traces = chunk.traces()
        learnt = self._rulebook.learn(connection, batch.series)
        if any(series in compiled.silent for series in learnt.tolist()):
            memory.hearing.watch(np.union1d(memory.hearing.watched, learnt), compiled, judged.now)
        memory.states.reach(int(batch.series.max()))
        judge = np.array([payload.judge for payload in chunk.payloads], np.bool_)
        imported = np.array([payload.backfill for payload in chunk.payloads], np.bool_)
        arrivals = Arrivals(
            batch.series,
            batch.times,
            batch.values,
            before.frontier,
            lambda series, times: self._values_at(connection, memory, series, times),
            None if judge.all() else judge[chunk.entry_of],
            imported[chunk.entry_of] if imported.any() else None,
            before.duplicate,
        )
        found = evaluate(arrivals, compiled, memory.states, self._setting(judged))
        if found.newest is not None:
            _keep_newest(memory, *found.newest)
        self._note_heard(memory, chunk, arrivals, judged, changes, found.transitions)
        judged.transitions += [transition for _, transition in sorted(found.transitions, key=lambda entry: entry[0])]
        judged.progress += found.progress
        memory.states.change(found.states)
        changes.update(found.states)
        save_late(connection, found.late)

    def _note_heard(
        self,
        memory: _Memory,
        chunk: Chunk,
        arrivals: Arrivals,
        judged: Judged,
        changes: dict[Pair, State | None],
        transitions: list[Any],
    ) -> None:
        """Readings end silences."""
        heard = memory.hearing.listens_to(arrivals.series)
        if arrivals.judged is not None:
            heard &= arrivals.judged
        rows = np.flatnonzero(heard)
        if not len(rows):
            return
        received = np.array([payload.received_at for payload in chunk.payloads], np.int64)[chunk.entry_of[rows]]
        series = arrivals.series[rows]
        states = memory.states
        silent = np.flatnonzero(states.active[series] | (states.resting[series] != NO_REST))
        if len(silent):
            found = break_silence(
                series[silent],
                received[silent],
                rows[silent],
                memory.hearing.heard_at,
                self._rulebook.compiled,
                states,
                self._setting(judged),
            )
            states.change(found.states)
            changes.update(found.states)
            transitions += found.transitions
        memory.hearing.note(series, received)

    def _find_silence(self, memory: _Memory, clock: int, judged: Judged, changes: dict[Pair, State | None]) -> None:
        hearing = memory.hearing
        seconds = hearing.look(clock, self._monotonic())
        if seconds is not None:
            found = find_silence(
                hearing.series,
                hearing.rules,
                seconds,
                clock,
                self._rulebook.compiled,
                memory.states,
                self._setting(judged),
            )
            memory.states.change(found.states)
            changes.update(found.states)
            judged.transitions += [transition for _, transition in found.transitions]

    def _values_at(
        self, connection: Connection, memory: _Memory, series: NDArray[np.int32], times: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The values of the readings at these times, NaN where there is none any more."""
        _reach(memory, series)
        values = np.where(memory.newest_at[series] == times, memory.newest[series], np.nan)
        missing = np.flatnonzero(np.isnan(values))
        if len(missing):
            stored = load_values(connection, series[missing].tolist(), times[missing].tolist())
            for place, value in stored.items():
                values[missing[place]] = value
        return values

    def _setting(self, judged: Judged) -> Setting:
        return Setting(judged.now, self._flapping)

    def _write(self, connection: Connection, judged: Judged, changes: dict[Pair, State | None]) -> None:
        opened = sorted({change.threshold_id for change in judged.transitions if change.kind == "opened"})
        judged.rules = self._rulebook.describe(connection, opened)
        save_states(connection, judged.shard, changes)
        if judged.transitions or judged.progress or judged.ended:
            self._record(connection, judged)


def _reach(memory: _Memory, series: NDArray[np.int32]) -> None:
    size, largest = len(memory.newest_at), int(series.max()) if len(series) else 0
    if largest >= size:
        more = max(largest + 1, 2 * size, 1024) - size
        memory.newest_at = np.concatenate([memory.newest_at, np.full(more, NEVER)])
        memory.newest = np.concatenate([memory.newest, np.full(more, np.nan)])


def _keep_newest(
    memory: _Memory, series: NDArray[np.int32], times: NDArray[np.int64], values: NDArray[np.float64]
) -> None:
    _reach(memory, series)
    memory.newest_at[series], memory.newest[series] = times, values
