"""The frontier of a shard: the newest stored event time of each of its series, in the memory of its drain.

A reading beyond its series' frontier is new by construction, for one drain at a time stores a shard and nothing else
writes readings. Where the readings table has no unique index this alone keeps repeats out, so a frontier may never lie too
low. It is derivable from the readings, so it is never the only copy: a checkpoint in the database is a lower bound that
makes taking a shard over quick, and every series is confirmed against the readings above it before its first use.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import psycopg

from telemetry.intake.batch import Batch, Int32, Int64
from telemetry.store.newest import Newest
from telemetry.timeseries.engine import EARLIEST
from telemetry.timeseries.landed import FOREVER, Part

#: Before every time: nothing stored yet.
NEVER = np.iinfo(np.int64).min

#: In landed columns, going down to so many series costs no more than reading all rows of a chunk.
_FEW = 100


class Frontier:
    """Newest stored event times (µs since 1970) by series id."""

    def __init__(self, readings: Newest | None = None, few: int = _FEW) -> None:
        self._readings = readings or Newest()
        self._few = few
        self._newest: Int64 = np.full(1024, NEVER, np.int64)
        #: By series: what lies at or after this time (µs) was looked at. Confirmed is a series of which nothing is left
        #: between its newest time and this one.
        self._looked: Int64 = np.full(1024, FOREVER, np.int64)

    def of(self, connection: psycopg.Connection[Any], series: Int32) -> Int64:
        """The frontier of each of these series, confirmed by the readings."""
        if not len(series):
            return np.empty(0, np.int64)
        self._grow(int(series.max()))
        open_ = self._looked[series] > self._bottom(series)
        if open_.any():
            self._confirm(connection, np.unique(series[open_]))
        return self._newest[series]

    def advance(self, stored: Batch) -> None:
        """After COMMIT: these readings are stored. ``stored`` is sorted by (series, time)."""
        if not len(stored):
            return
        last = np.append(stored.series[1:] != stored.series[:-1], True)
        series, times = stored.series[last], stored.times[last]
        self._newest[series] = np.maximum(self._newest[series], times)

    def checkpoint(self) -> tuple[bytes, bytes]:
        """Series ids (int32) and times (int64), little-endian, of all that is known."""
        known = np.flatnonzero(self._newest != NEVER)
        return known.astype("<i4").tobytes(), self._newest[known].astype("<i8").tobytes()

    def load(self, series: bytes, times: bytes) -> None:
        """Begin from a checkpoint: lower bounds, each to be confirmed before its first use."""
        ids, newest = np.frombuffer(series, "<i4"), np.frombuffer(times, "<i8")
        if len(ids):
            self._grow(int(ids.max()))
            self._newest[ids] = newest

    def _bottom(self, series: Int32) -> Int64:
        """The earliest time of each series (µs) that has to be looked at."""
        return np.maximum(self._newest[series], EARLIEST - 1) + 1

    def _confirm(self, connection: psycopg.Connection[Any], series: Int32) -> None:
        """Look at what lies above the lower bounds, the newest part of event time first."""
        parts = self._readings.parts(connection)
        for part in parts:
            wanted = self._open(series, part)
            if part.landed is not None:
                self._confirm_landed(connection, wanted, part)
            elif len(parts) > 1 and self._readings.is_empty(connection, part):
                self._looked[self._open(self._known_and(series), part)] = part.low
            elif len(wanted):
                self._learn(wanted, part, *self._readings.each(connection, part, wanted, self._bottom(wanted) - 1))

    def _confirm_landed(self, connection: psycopg.Connection[Any], wanted: Int32, part: Part) -> None:
        """Its newest stretch is read as a whole, as far as half of these series need, and confirms what else a checkpoint
        named on the way; then the stretch before it, for those that were silent meanwhile, until few are left."""
        left = part
        while len(known := self._spoke(wanted, left)) > self._few:
            since = int(np.median(self._bottom(known)))
            near = replace(left, low=max(left.low, min(left.high - 1, since)))
            everyone = self._open(self._known_and(wanted), near)
            self._learn(everyone, near, *self._readings.grouped(connection, near, everyone))
            if near.low == left.low:
                return
            left = replace(left, high=near.low)
        silent = self._open(wanted, left)
        if not len(silent):
            return
        bottom = self._bottom(silent)
        far = replace(left, low=max(left.low, int(bottom.min())))
        if len(silent) <= self._few:
            found = self._readings.each(connection, far, silent, bottom - 1)
        else:
            found = self._readings.grouped(connection, far, silent)
        self._learn(silent, left, *found)

    def _spoke(self, series: Int32, part: Part) -> Int32:
        """Those of these series that are open there and of which something is known."""
        still = self._open(series, part)
        return still[self._newest[still] != NEVER]

    def _known_and(self, series: Int32) -> Int32:
        return np.union1d(series, np.flatnonzero(self._newest != NEVER)).astype(np.int32)

    def _open(self, series: Int32, part: Part) -> Int32:
        """Those of these series of which the part, and nothing newer, is still to be looked at."""
        looked = self._looked[series]
        return series[(looked <= part.high) & (looked > np.maximum(part.low, self._bottom(series)))]

    def _learn(self, looked_for: Int32, part: Part, found: Int32, newest: Int64) -> None:
        """The part was looked at for these series, and this is what was found there, perhaps of others too."""
        self._looked[looked_for] = part.low
        mine = np.isin(found, looked_for)
        series, times = found[mine], newest[mine]
        self._newest[series] = np.maximum(self._newest[series], times)

    def _grow(self, largest: int) -> None:
        size = len(self._newest)
        if largest < size:
            return
        more = max(largest + 1, 2 * size) - size
        self._newest = np.concatenate([self._newest, np.full(more, NEVER, np.int64)])
        self._looked = np.concatenate([self._looked, np.full(more, FOREVER, np.int64)])
