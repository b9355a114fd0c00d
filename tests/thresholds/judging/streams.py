"""Streams of readings, rule changes and people, made up by hypothesis; and the fast evaluator driven over them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from dataclasses import replace as dataclass_replace
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.thresholds.reference import Alert, Clocks
from thresholds.compiled import Compiled, Place
from thresholds.ending import end_what_is_gone
from thresholds.evaluate import evaluate
from thresholds.machine import Setting, State
from thresholds.order import NEVER, Arrivals
from thresholds.rule import Flapping, Rule, make_rule
from thresholds.states import States
from thresholds.transitions import Ended, Extreme, Progress, Transition

START = 1_795_000_000_000_000
SECOND = 1_000_000
METRICS = {1: "a", 2: "a", 3: "b"}
WITHIN = 20 * SECOND
OPENINGS = 2
FLAPPING = Flapping(OPENINGS, WITHIN)
_VALUES = [0.0, 10.0, 20.0, 30.0, 40.0]
_AROUND = [near for value in _VALUES for near in (value, math.nextafter(value, -1e9), math.nextafter(value, 1e9))]


@dataclass(frozen=True)
class Read:
    series: int
    time: int
    value: float
    judged: bool = True
    imported: bool = False


@dataclass(frozen=True)
class Resolve:
    """A person ends whatever is live at that place."""

    place: int


@dataclass(frozen=True)
class Change:
    rules: tuple[Rule, ...]
    places: tuple[Place, ...]


CONDITIONS = ["above", "at_or_above", "below", "at_or_below", "equal", "not_equal", "outside", "inside", "rate_above"]
SCHEDULES = [
    {"zone": "UTC", "windows": [{"days": ["mon", "wed"], "start": "00:00", "end": "24:00"}]},
    # START is Wednesday, 2026-11-18, 11:06:40 UTC.
    {"zone": "Europe/Berlin", "windows": [{"days": ["wed"], "start": "12:00", "end": "12:08"}]},
    {"zone": "America/New_York", "windows": [{"days": ["tue"], "start": "22:00", "end": "06:08"}]},
]


def make_levels(random: Random, condition: str) -> list[dict[str, Any]]:
    found = []
    for severity in sorted(random.sample([1, 2, 3, 4], random.choice([1, 1, 2, 3]))):
        low = random.choice(_VALUES)
        level: dict[str, Any] = {"severity": severity, "trigger": low}
        if condition in ("outside", "inside"):
            level["trigger_high"] = low + random.choice([0.0, 10.0, 20.0])
        if random.random() < 0.6:
            level |= _clear(condition, level, random.choice([0.0, 5.0, 10.0]))
        found.append(level)
    return found


def _clear(condition: str, level: dict[str, Any], by: float) -> dict[str, float]:
    """On the safe side of the trigger."""
    low, high = level["trigger"], level.get("trigger_high")
    if condition in ("above", "at_or_above", "rate_above"):
        return {"clear": low - by}
    if condition in ("below", "at_or_below"):
        return {"clear": low + by}
    if high is None:
        return {}
    by = by if condition == "inside" else -min(by, (high - low) / 2)
    return {"clear": low - by, "clear_high": high + by}


def make_one_rule(random: Random, threshold_id: int) -> Rule:
    condition = random.choice(CONDITIONS)
    scopes: list[dict[str, int]] = [{}] * 6 + [{"device_id": 1}, {"device_id": 2}]
    scopes += [{"device_type_id": 7}, {"group_id": 5}, {"group_id": 6}]
    return make_rule(
        threshold_id=threshold_id,
        metric=random.choice(["a"] * 6 + ["b"]),
        condition=condition,
        levels=make_levels(random, condition),
        for_seconds=random.choice([0, 0, 2, 3, 7.5]),
        consecutive=random.choice([1, 1, 1, 2, 3]),
        clear_for_seconds=random.choice([0, 0, 2, 5]),
        max_gap_seconds=random.choice([None, None, 2, 4]),
        gap_policy=random.choice(["reset", "reset", "hold"]),
        schedule=random.choice([None] * 6 + SCHEDULES),
        overrides_id=random.choice([None] * 4 + list(range(1, threshold_id))),
        **random.choice(scopes),
    )


def make_change(random: Random, before: Change | None = None) -> Change:
    """Other rules, other places, or both; some rules keep their id and change what they say."""
    rules = tuple(make_one_rule(random, number) for number in range(1, random.choice([2, 2, 3, 4])))
    if before is not None and random.random() < 0.6:
        rules = tuple(_edited(random, rule) for rule in before.rules)
    return Change(rules, make_places(random))


def _edited(random: Random, rule: Rule) -> Rule:
    if random.random() < 0.5:
        return rule
    levels = [level for level in rule.levels if random.random() < 0.6] or [rule.levels[0]]
    if random.random() < 0.3:
        levels = [dataclass_replace(level, trigger=level.trigger + 10.0, clear=None) for level in levels]
        if rule.condition in ("outside", "inside"):
            levels = list(rule.levels)
    return dataclass_replace(rule, levels=tuple(levels))


def make_places(random: Random) -> tuple[Place, ...]:
    found = []
    for series, metric in METRICS.items():
        if random.random() < 0.96:
            group, kind = random.choice([(), (5,), (6, 5)]), random.choice([None, 7])
            interval = random.choice([None, None, 1.0, 2000.0])
            found.append(Place(series, series, metric, kind, group, interval, random.random() < 0.96))
    return tuple(found)


def make_stream(random: Random, most: int = 120) -> list[Read | Resolve | Change]:
    """It begins with the rules. Readings keep near the limits for a while, then move on."""
    change = make_change(random)
    stream: list[Any] = [change]
    clock = dict.fromkeys(METRICS, START)
    hop = random.choice([0.1, 0.5, 0.9])
    value = 0.0
    for _ in range(random.randrange(most)):
        kind = random.random()
        if kind < 0.02:
            change = make_change(random, change)
            stream.append(change)
        elif kind < 0.05:
            stream.append(Resolve(random.randrange(4)))
        else:
            series = random.choice([1, 1, 1, 1, 2, 3])
            delta = random.choice([1] * 12 + [0.5, 2, 2.000001, 3, 4, 4.000001, 10, 61, 0, -1, -2, -30])
            at = clock[series] + round(delta * SECOND)
            clock[series] = max(clock[series], at)
            value = random.choice(_AROUND) if random.random() < hop else value
            stream.append(Read(series, at, value, random.random() < 0.93, random.random() < 0.1))
    return stream


streams = st.randoms(use_true_random=False).map(make_stream)


@dataclass
class Fast:
    """The platform's evaluator as the drain drives it, without a database."""

    now: int
    states: States = field(default_factory=States)
    compiled: Compiled = field(default_factory=lambda: Compiled([]))
    stored: dict[tuple[int, int], float] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    live: dict[tuple[int, int], Alert] = field(default_factory=dict)
    late: dict[tuple[int, int], int] = field(default_factory=dict)

    def change(self, change: Change) -> None:
        self.compiled = Compiled(change.rules)
        self.compiled.add(np.array(list(METRICS), np.int32), change.places)
        places = {rule.threshold_id: place for place, rule in enumerate(change.rules)}
        standing = {place.series_id: place for place in change.places}
        found = end_what_is_gone(self.states, self.compiled, places, lambda series: standing, self.now)
        self.states.change(found.states)
        for ended in found.ended:
            self._end(ended)
        for transition in found.transitions:
            self._apply(transition)

    def resolve(self, pair: tuple[int, int]) -> None:
        if (alert := self.live.pop(pair, None)) is not None:
            alert.ended_at = self.now
            alert.timeline.append(("resolved", self.now, alert.severity))
            self.states.change({pair: State(waiting=True, openings=self.states[pair].openings)})

    def read(self, readings: list[Read]) -> None:
        series = np.array([reading.series for reading in readings], np.int32)
        duplicate = []
        before = dict(self.newest)
        for reading in readings:
            duplicate.append((reading.series, reading.time) in self.stored)
            self.stored.setdefault((reading.series, reading.time), reading.value)
            self.newest[reading.series] = max(self.newest.get(reading.series, NEVER), reading.time)
        arrivals = Arrivals(
            series,
            np.array([reading.time for reading in readings], np.int64),
            np.array([reading.value for reading in readings], np.float64),
            lambda asked: np.array([before.get(one, NEVER) for one in asked.tolist()], np.int64),
            lambda asked, at: np.array(
                [self.stored[pair] for pair in zip(asked.tolist(), at.tolist(), strict=True)], np.float64
            ),
            np.array([reading.judged for reading in readings], np.bool_),
            np.array([reading.imported for reading in readings], np.bool_),
            np.array(duplicate, np.bool_),
        )
        self.states.reach(max(METRICS))
        found = evaluate(arrivals, self.compiled, self.states, Setting(self.now, FLAPPING))
        self.states.change(found.states)
        for _, transition in found.transitions:
            self._apply(transition)
        for progress in found.progress:
            alert = self.live[progress.threshold_id, progress.series_id]
            self._took(alert, progress)
        for pair, (count, _) in found.late.items():
            self.late[pair] = self.late.get(pair, 0) + count

    def _apply(self, change: Transition) -> None:
        pair = (change.threshold_id, change.series_id)
        if change.kind == "opened":
            assert pair not in self.live, "opened twice"
            assert change.extreme is not None and change.value is not None
            severity = change.severity
            alert = Alert(
                *pair, change.at, severity, severity, change.value, change.at, change.extreme.value, 0, change.imported
            )
            self.live[pair] = alert
            self.alerts.append(alert)
            assert change.evidence["breaching"] == change.readings
        alert = self.live[pair]
        self._took(alert, change)
        alert.timeline.append((change.kind, change.at, change.severity))
        if change.kind == "flapping":
            alert.flapping = True
        elif change.kind == "cleared":
            alert.ended_at = change.at
            del self.live[pair]
        else:
            alert.severity, alert.highest = change.severity, max(alert.highest, change.severity)

    def _took(self, alert: Alert, step: Transition | Progress) -> None:
        if step.value is not None:
            alert.value, alert.value_at = step.value, step.at
            alert.caught_up |= step.caught_up
        alert.readings += step.readings
        if step.extreme is not None:
            alert.extreme = _further(alert.extreme, step.extreme)

    def _end(self, ended: Ended) -> None:
        alert = self.live.pop((ended.threshold_id, ended.series_id))
        alert.ended_at, alert.end_reason = self.now, ended.reason
        alert.timeline.append(("ended", self.now, alert.severity))


def _further(known: float, new: Extreme) -> float:
    if new.sense == "high":
        return max(known, new.value)
    if new.sense == "low":
        return min(known, new.value)
    if new.sense == "far":
        return new.value if abs(new.value - new.middle) > abs(known - new.middle) else known
    return new.value


def run_fast(stream: list[Any], now: int, cuts: set[int]) -> Fast:
    """Over a stream cut before the steps at these places."""
    fast = Fast(now)
    waiting: list[Read] = []
    for place, step in enumerate(stream):
        if waiting and (place in cuts or not isinstance(step, Read)):
            fast.read(waiting)
            waiting = []
        if isinstance(step, Read):
            waiting.append(step)
        elif isinstance(step, Change):
            fast.change(step)
        elif fast.live:
            fast.resolve(sorted(fast.live)[step.place % len(fast.live)])
    if waiting:
        fast.read(waiting)
    return fast


def as_clocks(state: State) -> Clocks:
    """A state as the reference has it."""
    by_severity = lambda clock: {place + 1: at for place, at in enumerate(clock) if at}  # noqa: E731
    return Clocks(
        {place + 1 for place in range(4) if state.on >> place & 1},
        by_severity(state.since),
        by_severity(state.counts),
        by_severity(state.safe_since),
        state.waiting,
        state.openings,
        state.flapping,
        state.quiet_since,
    )
