"""Silence: what has not been heard of for too long. Judged by the shard's own clock, not by readings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thresholds.compiled import Compiled
from thresholds.machine import Machine, Pair, PairRows, Setting, State
from thresholds.rule import Rule
from thresholds.transitions import Transition

__all__ = ["Found", "Moment", "break_silence", "find_silence", "silent_history"]

#: A moment (µs since 1970), the seconds of silence up to it, and whether a reading ended it there.
Moment = tuple[int, float, bool]


@dataclass(slots=True)
class Found:
    """What came of it: (place in the chunk, transition), and the states that changed (None: nothing to remember)."""

    transitions: list[tuple[int, Transition]] = field(default_factory=list)
    states: dict[Pair, State | None] = field(default_factory=dict)


def find_silence(
    series: NDArray[np.int32],
    rules: NDArray[np.intp],
    seconds: NDArray[np.float64],
    clock: int,
    compiled: Compiled,
    states: Mapping[Pair, State],
    setting: Setting,
) -> Found:
    """Judge the length of silence of each (series, rule) at one moment of the clock (µs since 1970)."""
    found = Found()
    breach = np.zeros(len(series), np.uint8)
    for severity in compiled.severities:
        breach |= compiled.breach[severity].contain(rules, seconds).astype(np.uint8) << severity
    for place in np.flatnonzero(breach).tolist():
        series_id, rule = int(series[place]), compiled.rules[rules[place]]
        state = states.get((rule.threshold_id, series_id))
        if state is None or int(breach[place]) & ~state.on:
            moment = (clock, float(seconds[place]), False)
            _run(rule, series_id, [moment], [0], compiled, states, setting, found)
    return found


def break_silence(
    series: NDArray[np.int32],
    received: NDArray[np.int64],
    rows: NDArray[np.intp],
    heard_at: Callable[[int], int],
    compiled: Compiled,
    states: Mapping[Pair, State],
    setting: Setting,
) -> Found:
    """Readings of series, each received at a moment, in log order; ``heard_at``: when a series was heard of before."""
    found = Found()
    for series_id in np.unique(series).tolist():
        of_series = np.flatnonzero(series == series_id)
        moments: list[Moment] = []
        last = heard_at(series_id)
        for at in received[of_series].tolist():
            moments.append((max(at, last), max(at - last, 0) / 1e6, True))
            last = max(at, last)
        for rule in (compiled.rules[number] for number in compiled.silent.get(series_id, ())):
            if (rule.threshold_id, series_id) in states:
                _run(rule, series_id, moments, rows[of_series].tolist(), compiled, states, setting, found)
    return found


def _run(
    rule: Rule,
    series_id: int,
    moments: list[Moment],
    places: list[int],
    compiled: Compiled,
    states: Mapping[Pair, State],
    setting: Setting,
    found: Found,
) -> None:
    pair = (rule.threshold_id, series_id)
    before = found.states.get(pair) or states.get(pair)
    machine = Machine(rule, series_id, before.copy() if before else State(), setting, int(compiled.lag[series_id]))
    machine.run(_silence_rows(rule, moments, places))
    found.transitions += machine.transitions
    if machine.state != before and (before or not machine.state.is_empty):
        found.states[pair] = None if machine.state.is_empty else machine.state


def _silence_rows(rule: Rule, moments: Iterable[Moment], places: Iterable[int] | None = None) -> PairRows:
    """Moments as readings of the length of silence: a reading ends it, whatever its value."""
    rows = PairRows([], [], [], [], [], [], [], [], [], [])
    every = sum(1 << level.severity - 1 for level in rule.levels)
    for at, seconds, heard in moments:
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
    rows.rows = list(range(len(rows.times)) if places is None else places)
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
    machine.run(_silence_rows(rule, moments))
    return [transition for _, transition in machine.transitions]
