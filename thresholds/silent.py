"""Silence: what has not been heard of for too long. Judged by the shard's own clock, not by readings. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from thresholds.machine import Machine, PairRows, Setting, State
from thresholds.rule import Rule
from thresholds.transitions import Transition

__all__ = ["Moment", "silence_rows", "silent_history"]

#: A moment (µs since 1970), the seconds of silence up to it, and whether a reading ended it there.
Moment = tuple[int, float, bool]


def silence_rows(rule: Rule, moments: Iterable[Moment]) -> PairRows:
    """Moments as readings of the length of silence: a reading ends it, whatever its value."""
    rows = PairRows([], [], [], [], [], [], [], [], [], [])
    every = sum(1 << level.severity - 1 for level in rule.levels)
    for place, (at, seconds, heard) in enumerate(moments):
        breach = 0 if heard else sum(1 << level.severity - 1 for level in rule.levels if seconds >= level.trigger)
        rows.times.append(at)
        rows.values.append(seconds)
        rows.compared.append(seconds)
        rows.breach.append(breach)
        rows.safe.append(every if heard else 0)
        rows.inside.append(rule.schedule is None or not breach or rule.schedule.contains(at))
        rows.gap.append(False)
        rows.previous.append(at - round(seconds * 1e6))
        rows.imported.append(False)
        rows.rows.append(place)
    return rows


def silent_history(
    rule: Rule, series_id: int, times: NDArray[np.int64], setting: Setting, until: int | None
) -> list[Transition]:
    """What a rule of silence would have made of readings that came when they were measured."""
    triggers = sorted(round(level.trigger * 1e6) for level in rule.levels)
    ends = np.append(times[1:], times[-1] if until is None else max(until, int(times[-1])))
    long = np.flatnonzero(ends - times >= triggers[0])
    moments: list[Moment] = []
    for place in long.tolist():
        begin, end = int(times[place]), int(ends[place])
        moments += [(begin + trigger, trigger / 1e6, False) for trigger in triggers if begin + trigger <= end]
        if place + 1 < len(times):
            moments.append((end, (end - begin) / 1e6, True))
    machine = Machine(rule, series_id, State(), setting, 0)
    machine.run(silence_rows(rule, moments))
    return [transition for _, transition in machine.transitions]
