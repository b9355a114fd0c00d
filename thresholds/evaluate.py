"""Judge a chunk of readings: arrays go in, the few changes of alerts come out. Pure.

Most readings are done with after two comparisons. Series with a reading that may matter go on to the comparison with
every level of their rules, all at once; only pairs whose state may change go through the machine, reading by reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thresholds.compiled import NO_GAP, Compiled, Place
from thresholds.machine import Machine, Pair, PairRows, Setting, State
from thresholds.order import NEVER, Arrivals, Ordered, in_order
from thresholds.rule import Flapping, Rule
from thresholds.silent import silent_history
from thresholds.states import NO_REST, States
from thresholds.transitions import Extreme, Progress, Transition

__all__ = ["Outcome", "evaluate", "judge_history"]

#: So many comparisons at a time, to bound the memory.
_AT_ONCE = 1_000_000


@dataclass(slots=True)
class Outcome:
    """What a chunk's readings came to."""

    #: (place in the chunk, transition)
    transitions: list[tuple[int, Transition]] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    #: States that changed; None: nothing to remember any more.
    states: dict[Pair, State | None] = field(default_factory=dict)
    #: Late readings that would have breached: how many, and the newest event time.
    late: dict[Pair, tuple[int, int]] = field(default_factory=dict)
    #: Of series whose rates are judged: their newest readings (series, times, values).
    newest: tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]] | None = None


@dataclass(slots=True)
class _Compared:
    """Readings beside the rules of their series: one row a (reading, pair), by pair and within each in log order."""

    #: Places in Ordered, and of the rule.
    row: NDArray[np.intp]
    rule: NDArray[np.intp]
    pair_gap: NDArray[np.int64]
    compared: NDArray[np.float64]
    breach: NDArray[np.uint8]
    safe: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    gap: NDArray[np.bool_]

    def at(self, keep: NDArray[np.bool_]) -> _Compared:
        return _Compared(
            self.row[keep],
            self.rule[keep],
            self.pair_gap[keep],
            self.compared[keep],
            self.breach[keep],
            self.safe[keep],
            self.inside[keep],
            self.gap[keep],
        )

    def starts(self, series: NDArray[np.int32]) -> NDArray[np.intp]:
        """Where each pair begins."""
        of_row = series[self.row]
        return np.flatnonzero(np.append(True, (of_row[1:] != of_row[:-1]) | (self.rule[1:] != self.rule[:-1])))


def evaluate(
    arrivals: Arrivals,
    compiled: Compiled,
    states: States,
    setting: Setting,
) -> Outcome:
    """Judge readings by rules that know all their series; ``states`` reach them."""
    outcome = Outcome()
    series, values = arrivals.series, arrivals.values
    if not len(series):
        return outcome
    matters = (values < compiled.low[series]) | (values > compiled.high[series])
    matters |= compiled.has_rate[series] | states.active[series]
    matters |= arrivals.times - setting.flapping.within_us > states.resting[series]
    if arrivals.judged is not None:
        matters &= arrivals.judged
    if not matters.any():
        return outcome
    hot = np.zeros(len(compiled.known), np.bool_)
    hot[series[matters]] = True
    rows = np.flatnonzero(hot[series])
    ordered = in_order(arrivals, rows, with_values=bool(compiled.has_rate[series[matters]].any()))
    if ordered.previous_value is not None:
        outcome.newest = _newest(ordered, compiled)
    for part in _parts(ordered, compiled):
        _judge_part(arrivals, ordered, part, compiled, states, setting, outcome)
    outcome.transitions.sort(key=lambda found: found[0])
    return outcome


def judge_history(
    rule: Rule,
    series_id: int,
    times: NDArray[np.int64],
    values: NDArray[np.float64],
    expected_interval: float | None = None,
    *,
    flapping: Flapping | None = None,
    now: int | None = None,
    until: int | None = None,
) -> list[Transition]:
    """What a rule would have made of one series' stored readings, oldest first; no two have the same time.

    Times in µs since 1970, ``expected_interval`` in seconds. ``now`` (default: the last reading) only decides what was
    caught up. ``until``: for ``silent``, up to when to look for silence after the last reading.
    """
    if not len(times):
        return []
    setting = Setting(int(times[-1]) if now is None else now, flapping or Flapping())
    if rule.condition == "silent":
        return silent_history(rule, series_id, times, setting, until)
    compiled = Compiled([rule])
    only = np.zeros(1, np.int32)
    # Whatever its scope, this series is in it.
    place = Place(0, rule.device_id or 0, rule.metric, rule.type_id, (rule.group_id or 0,), expected_interval)
    compiled.add(only, [place])
    arrivals = Arrivals(
        np.zeros(len(times), np.int32),
        np.asarray(times, np.int64),
        np.asarray(values, np.float64),
        lambda series: np.full(len(series), NEVER),
        lambda series, at: np.full(len(series), np.nan),
    )
    found = evaluate(arrivals, compiled, States(), setting)
    return [transition._replace(series_id=series_id) for _, transition in found.transitions]


def _parts(ordered: Ordered, compiled: Compiled) -> list[slice]:
    """Whole series at a time, so many that the comparisons fit."""
    pairs = compiled.counts[compiled.block[ordered.series]]
    total = np.cumsum(pairs)
    if total[-1] <= _AT_ONCE:
        return [slice(0, len(pairs))]
    ends = np.append(ordered.starts[1:], len(pairs))
    parts, begin, done = [], 0, 0
    for end in ends.tolist():
        if total[end - 1] - done >= _AT_ONCE or end == len(pairs):
            parts.append(slice(begin, end))
            begin, done = end, total[end - 1]
    return parts


def _judge_part(
    arrivals: Arrivals,
    ordered: Ordered,
    part: slice,
    compiled: Compiled,
    states: States,
    setting: Setting,
    outcome: Outcome,
) -> None:
    compared = _compare(ordered, _judged_rows(arrivals, ordered, part), compiled)
    live = ordered.live[compared.row]
    if not live.all():
        _count_late(ordered, compared, ~live, compiled, outcome)
        compared = compared.at(live)
    if not len(compared.row):
        return
    starts = compared.starts(ordered.series)
    lengths = np.diff(np.append(starts, len(compared.row)))
    series, rules = ordered.series[compared.row[starts]], compared.rule[starts]
    breach = np.where(compared.inside, compared.breach, 0)
    active, steady, on, resting = _states_of(series, rules, compiled, states)
    last = ordered.times[compared.row[starts + lengths - 1]]
    moving = (np.bitwise_or.reduceat(breach, starts) != 0) | (last - setting.flapping.within_us > resting)
    if active.any():
        on_rows = np.repeat(on, lengths)
        stirred = np.bitwise_or.reduceat((compared.safe & on_rows) | (breach & ~on_rows), starts) != 0
        moving = np.where(active, ~steady | stirred, moving)
    _note_steady(ordered, compared, starts, lengths, steady & ~moving, compiled, setting, outcome)
    if moving.any():
        _run_machines(arrivals, ordered, compared, lengths, moving, compiled, states, setting, outcome)


def _newest(ordered: Ordered, compiled: Compiled) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
    live = np.flatnonzero(ordered.live & compiled.has_rate[ordered.series])
    series = ordered.series[live]
    last = live[np.append(series[1:] != series[:-1], True)] if len(live) else live
    return ordered.series[last], ordered.times[last], ordered.values[last]


def _judged_rows(arrivals: Arrivals, ordered: Ordered, part: slice) -> NDArray[np.intp]:
    """Places in Ordered of what is judged: live readings, and late ones that are not repeats."""
    rows = np.arange(part.start, part.stop)
    keep = np.ones(len(rows), np.bool_)
    if arrivals.judged is not None:
        keep &= arrivals.judged[ordered.rows[part]]
    if arrivals.duplicate is not None:
        keep &= ordered.live[part] | ~arrivals.duplicate[ordered.rows[part]]
    return rows[keep]


def _compare(ordered: Ordered, rows: NDArray[np.intp], compiled: Compiled) -> _Compared:
    """Readings with every rule of their series."""
    block = compiled.block[ordered.series[rows]]
    counts = compiled.counts[block]
    row = np.repeat(rows, counts)
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    most = int(counts.max()) if len(counts) else 0
    if most > 1:
        order = np.argsort(ordered.series[row].astype(np.int64) * most + place, kind="stable")
        row, place = row[order], place[order]
    pair = compiled.starts[compiled.block[ordered.series[row]]] + place
    rule = compiled.pair_rule[pair]
    values = ordered.values[row]
    if ordered.previous_value is not None:
        values = np.where(compiled.rate[rule], _rates(ordered)[row], values)
    breach, safe = np.zeros(len(row), np.uint8), np.zeros(len(row), np.uint8)
    for severity in compiled.severities:
        breaches = compiled.breach[severity].contain(rule, values)
        breach |= breaches.astype(np.uint8) << severity
        safe |= (compiled.safe[severity].contain(rule, values) & ~breaches).astype(np.uint8) << severity
    previous = ordered.previous[row]
    since = np.where(previous == NEVER, 0, ordered.times[row] - previous)
    inside = _inside(ordered, row, rule, breach, compiled)
    gap = compiled.pair_gap[pair]
    return _Compared(row, rule, gap, values, breach, safe, inside, since > gap)


def _rates(ordered: Ordered) -> NDArray[np.float64]:
    """Absolute change a second since the reading before; NaN of late readings and where there was none."""
    assert ordered.previous_value is not None
    known = ordered.live & (ordered.previous != NEVER)
    seconds = np.where(known, ordered.times - ordered.previous, 1) / 1e6
    return np.where(known, np.abs(ordered.values - ordered.previous_value) / seconds, np.nan)


def _inside(
    ordered: Ordered,
    row: NDArray[np.intp],
    rule: NDArray[np.intp],
    breach: NDArray[np.uint8],
    compiled: Compiled,
) -> NDArray[np.bool_]:
    """Whether the rule's schedule is in force at each breaching reading; true of others."""
    inside = np.ones(len(row), np.bool_)
    asked = compiled.scheduled[rule] & (breach != 0)
    if asked.any():
        for number in np.unique(rule[asked]).tolist():
            schedule = compiled.rules[number].schedule
            assert schedule is not None
            rows = np.flatnonzero(asked & (rule == number))
            inside[rows] = schedule.contains_all(ordered.times[row[rows]])
    return inside


def _count_late(
    ordered: Ordered, compared: _Compared, late: NDArray[np.bool_], compiled: Compiled, outcome: Outcome
) -> None:
    for place in np.flatnonzero(late & (compared.breach != 0) & compared.inside).tolist():
        row = compared.row[place]
        pair = (compiled.rules[compared.rule[place]].threshold_id, int(ordered.series[row]))
        count, newest = outcome.late.get(pair, (0, NEVER))
        outcome.late[pair] = (count + 1, max(newest, int(ordered.times[row])))


def _states_of(
    series: NDArray[np.int32], rules: NDArray[np.intp], compiled: Compiled, states: States
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.uint8], NDArray[np.int64]]:
    """Of each pair: whether it has a state that is not resting, whether that is a steady one, its levels that are on,
    and the newest opening where it is resting (NO_REST: it is not)."""
    active, steady = np.zeros(len(series), np.bool_), np.zeros(len(series), np.bool_)
    on, resting = np.zeros(len(series), np.uint8), np.full(len(series), NO_REST)
    places = np.flatnonzero(states.active[series] | (states.resting[series] != NO_REST))
    for place, number, series_id in zip(places.tolist(), rules[places].tolist(), series[places].tolist(), strict=True):
        kind = states.kinds.get((compiled.rules[number].threshold_id, series_id))
        if kind is not None:
            steady[place], on[place], resting[place] = kind
            active[place] = kind[2] == NO_REST
    return active, steady, on, resting


def _note_steady(
    ordered: Ordered,
    compared: _Compared,
    starts: NDArray[np.intp],
    lengths: NDArray[np.intp],
    steady: NDArray[np.bool_],
    compiled: Compiled,
    setting: Setting,
    outcome: Outcome,
) -> None:
    """Readings that only add to alerts that are open."""
    if not steady.any():
        return
    readings = np.add.reduceat(compared.breach != 0, starts, dtype=np.int64)
    furthest = _furthest(compared, starts, lengths, compiled)
    last = compared.row[starts + lengths - 1]
    series, times = ordered.series[last], ordered.times[last]
    caught_up = setting.now - times <= compiled.lag[series]
    columns = (
        compared.rule[starts],
        series,
        times,
        ordered.values[last],
        compared.compared[furthest],
        readings,
        caught_up,
    )
    for rule_at, series_id, at, value, extreme, count, up in zip(
        *(column[steady].tolist() for column in columns), strict=True
    ):
        rule = compiled.rules[rule_at]
        of_these = Extreme(extreme, rule.sense, rule.middle) if count else None
        outcome.progress.append(Progress(rule.threshold_id, series_id, at, value, of_these, count, up))


def _furthest(
    compared: _Compared, starts: NDArray[np.intp], lengths: NDArray[np.intp], compiled: Compiled
) -> NDArray[np.intp]:
    """Of each pair the place of its breaching reading furthest from what is safe: the first of several, the last where
    none is further than another. 0 where none breaches."""
    distance = compiled.sign[compared.rule] * compared.compared
    far = compiled.far[compared.rule]
    if far.any():
        distance = np.where(far, np.abs(compared.compared - compiled.middle[compared.rule]), distance)
    distance = np.where(compared.breach != 0, distance, -np.inf)
    best = np.repeat(np.maximum.reduceat(distance, starts), lengths) == distance
    best &= compared.breach != 0
    first = np.minimum.reduceat(np.where(best, np.arange(len(best)), len(best)), starts)
    last = np.maximum.reduceat(np.where(best, np.arange(len(best)), 0), starts)
    rules = compared.rule[starts]
    return np.where((compiled.sign[rules] == 0) & ~compiled.far[rules], last, np.minimum(first, last))


def _run_machines(
    arrivals: Arrivals,
    ordered: Ordered,
    compared: _Compared,
    lengths: NDArray[np.intp],
    moving: NDArray[np.bool_],
    compiled: Compiled,
    states: States,
    setting: Setting,
    outcome: Outcome,
) -> None:
    """Reading by reading, for the pairs whose state may change."""
    compared = compared.at(np.repeat(moving, lengths))
    row = compared.row
    places = ordered.rows[row]
    previous = ordered.previous[row]
    imported = np.zeros(len(row), np.bool_) if arrivals.imported is None else arrivals.imported[places]
    columns = [
        column.tolist()
        for column in (
            *(ordered.times[row], ordered.values[row], compared.compared, compared.breach, compared.safe),
            *(compared.inside, compared.gap, previous, imported, places),
        )
    ]
    for place in np.flatnonzero(previous == NEVER).tolist():
        columns[7][place] = None
    series = ordered.series[row]
    gaps = compared.pair_gap.tolist()
    start = 0
    for length in lengths[moving].tolist():
        series_id, rule = int(series[start]), compiled.rules[compared.rule[start]]
        pair = (rule.threshold_id, series_id)
        before = states.get(pair)
        gap = None if gaps[start] == NO_GAP else gaps[start]
        lag = int(compiled.lag[series_id])
        machine = Machine(rule, series_id, State() if before is None else before.copy(), setting, lag, gap)
        machine.run(PairRows(*(column[start : start + length] for column in columns)))
        outcome.transitions += machine.transitions
        if (progress := machine.progress) is not None:
            outcome.progress.append(progress)
        if machine.state != before and not (before is None and machine.state.is_empty):
            outcome.states[pair] = None if machine.state.is_empty else machine.state
        start += length
