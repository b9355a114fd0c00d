"""The slow, obvious evaluator: one reading at a time, written from docs/alerting.md, without arrays or short cuts.

It shares the records of rules and places with the platform, and nothing that decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from thresholds.compiled import Place
from thresholds.rule import LevelRule, Rule

HOUR = 3_600_000_000


@dataclass
class Alert:
    """One alert as its readers see it; times in µs."""

    threshold_id: int
    series_id: int
    opened_at: int
    severity: int
    highest: int
    value: float
    value_at: int
    extreme: float
    readings: int
    imported: bool
    caught_up: bool = False
    flapping: bool = False
    ended_at: int | None = None
    end_reason: str = ""
    #: (kind, event time, severity)
    timeline: list[tuple[str, int, int]] = field(default_factory=list)


@dataclass
class Clocks:
    """What one (threshold, series) remembers; dictionaries by severity."""

    on: set[int] = field(default_factory=set)
    since: dict[int, int] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    safe_since: dict[int, int] = field(default_factory=dict)
    waiting: bool = False
    openings: list[int] = field(default_factory=list)
    flapping: bool = False
    quiet_since: int | None = None


@dataclass
class Seen:
    """A series: the newest event time of all arrivals so far, and the value that came with it."""

    newest: int | None = None
    value: float = 0.0
    times: set[int] = field(default_factory=set)


class Reference:
    """Judges readings one by one. ``now``: the wall clock, µs since 1970."""

    def __init__(self, rules: list[Rule], places: list[Place], now: int, openings: int = 5, within: int = 600_000_000):
        self.rules = {rule.threshold_id: rule for rule in rules}
        self.places = {place.series_id: place for place in places}
        self.now, self.most_openings, self.within = now, openings, within
        self.clocks: dict[tuple[int, int], Clocks] = {}
        self.live: dict[tuple[int, int], Alert] = {}
        self.alerts: list[Alert] = []
        self.late: dict[tuple[int, int], int] = {}
        self.seen: dict[int, Seen] = {}

    # --- readings -------------------------------------------------------------------------------

    def read(self, series: int, t: int, v: float, judged: bool = True, imported: bool = False) -> None:
        seen = self.seen.setdefault(series, Seen())
        duplicate = t in seen.times
        seen.times.add(t)
        previous, previous_value = seen.newest, seen.value
        if previous is not None and t <= previous:
            if judged and not duplicate:
                self._count_late(series, t, v)
            return
        seen.newest, seen.value = t, v
        if judged:
            for rule in self.applying(series):
                if rule.condition != "silent":
                    self._judge(rule, series, t, v, previous, previous_value, imported)

    def applying(self, series: int) -> list[Rule]:
        place = self.places.get(series)
        if place is None or not place.enabled:
            return []
        matching = [rule for rule in self.rules.values() if self._matches(rule, place)]
        overridden = {rule.overrides for rule in matching if rule.overrides is not None}
        return [rule for rule in matching if rule.threshold_id not in overridden]

    def _matches(self, rule: Rule, place: Place) -> bool:
        if rule.metric != place.metric:
            return False
        if rule.device_id is not None:
            return rule.device_id == place.device_id
        if rule.type_id is not None:
            return rule.type_id == place.type_id
        if rule.group_id is not None:
            return rule.group_id in place.group_ids
        return True

    def _count_late(self, series: int, t: int, v: float) -> None:
        for rule in self.applying(series):
            if rule.condition in ("silent", "rate_above") or not in_force(rule, t):
                continue
            if any(breaches(rule.condition, v, level) for level in rule.levels):
                pair = (rule.threshold_id, series)
                self.late[pair] = self.late.get(pair, 0) + 1

    def _judge(
        self, rule: Rule, series: int, t: int, v: float, previous: int | None, previous_value: float, imported: bool
    ) -> None:
        pair = (rule.threshold_id, series)
        clocks = self.clocks.setdefault(pair, Clocks())
        x: float | None = v
        if rule.condition == "rate_above":
            x = None if previous is None else abs(v - previous_value) / ((t - previous) / 1e6)
        breach = {level.severity: x is not None and breaches(rule.condition, x, level) for level in rule.levels}
        safe = {
            level.severity: x is not None and not breach[level.severity] and is_safe(rule.condition, x, level)
            for level in rule.levels
        }
        alert = self.live.get(pair)
        if clocks.waiting:
            if all(safe.values()):
                clocks.waiting = False
        else:
            gap = self._is_gap(rule, series, t, previous)
            run = self._move_levels(rule, clocks, t, breach, safe, gap)
            self._move_alert(rule, series, clocks, t, v, x, any(breach.values()), run, imported)
        if pair not in self.live and clocks.openings and t - clocks.openings[-1] > self.within:
            clocks.openings = []
        alert = self.live.get(pair)
        if alert is not None and self.now - t <= self._lag(series):
            alert.caught_up = True

    def _is_gap(self, rule: Rule, series: int, t: int, previous: int | None) -> bool:
        if not rule.reset or previous is None:
            return False
        interval = self.places[series].expected_interval
        longest = rule.max_gap_us
        if longest is None and interval is not None:
            longest = round(3 * interval * 1e6)
        return longest is not None and t - previous > longest

    def _move_levels(
        self, rule: Rule, clocks: Clocks, t: int, breach: dict[int, bool], safe: dict[int, bool], gap: bool
    ) -> int:
        """Answers the longest run of breaching readings of the levels that went on."""
        run = 0
        for severity in breach:
            if severity in clocks.on:
                if not safe[severity]:
                    clocks.safe_since.pop(severity, None)
                else:
                    clocks.safe_since.setdefault(severity, t)
                    if t - clocks.safe_since[severity] >= rule.clear_for_us:
                        clocks.on.discard(severity)
                        del clocks.safe_since[severity]
                continue
            if gap:
                clocks.since.pop(severity, None)
                clocks.counts.pop(severity, None)
            if not (breach[severity] and in_force(rule, t)):
                clocks.since.pop(severity, None)
                clocks.counts.pop(severity, None)
                continue
            clocks.since.setdefault(severity, t)
            clocks.counts[severity] = clocks.counts.get(severity, 0) + 1
            if t - clocks.since[severity] >= rule.for_us and clocks.counts[severity] >= rule.consecutive:
                run = max(run, clocks.counts.pop(severity))
                del clocks.since[severity]
                clocks.on.add(severity)
        return run

    def _move_alert(
        self,
        rule: Rule,
        series: int,
        clocks: Clocks,
        t: int,
        v: float,
        x: float | None,
        breaching: bool,
        run: int,
        imported: bool,
    ) -> None:
        pair = (rule.threshold_id, series)
        alert = self.live.get(pair)
        highest = max(clocks.on, default=0)
        if alert is None:
            if highest:
                self._open(pair, clocks, t, v, x, highest, run, imported)
            return
        alert.value, alert.value_at = v, t
        if breaching:
            assert x is not None
            alert.readings += 1
            alert.extreme = further(rule, alert.extreme, x)
        if highest:
            clocks.quiet_since = None
            if highest != alert.severity:
                alert.timeline.append(("raised" if highest > alert.severity else "lowered", t, highest))
                alert.severity, alert.highest = highest, max(highest, alert.highest)
        elif not clocks.flapping:
            self._close(pair, "cleared", t)
        else:
            if clocks.quiet_since is None:
                clocks.quiet_since = t
            if t - clocks.quiet_since >= self.within:
                self._close(pair, "cleared", t)
                clocks.flapping, clocks.openings, clocks.quiet_since = False, [], None

    def _open(
        self,
        pair: tuple[int, int],
        clocks: Clocks,
        t: int,
        v: float,
        x: float | None,
        severity: int,
        run: int,
        imported: bool,
    ) -> None:
        assert x is not None
        alert = Alert(*pair, t, severity, severity, v, t, x, run, imported)
        alert.timeline.append(("opened", t, severity))
        clocks.openings = [opening for opening in clocks.openings if t - opening <= self.within] + [t]
        if len(clocks.openings) > self.most_openings:
            clocks.flapping = alert.flapping = True
            alert.timeline.append(("flapping", t, severity))
        self.live[pair] = alert
        self.alerts.append(alert)

    def _close(self, pair: tuple[int, int], kind: str, at: int, reason: str = "") -> None:
        alert = self.live.pop(pair)
        alert.ended_at, alert.end_reason = at, reason
        alert.timeline.append((kind, at, alert.severity))

    def _lag(self, series: int) -> int:
        return max(HOUR, round(3e6 * (self.places[series].expected_interval or 0)))

    # --- people and rules -----------------------------------------------------------------------

    def resolve(self, pair: tuple[int, int]) -> None:
        """By a person."""
        if pair in self.live:
            self._close(pair, "resolved", self.now)
            self.clocks[pair] = Clocks(waiting=True, openings=self.clocks[pair].openings)

    def change(self, rules: list[Rule], places: list[Place]) -> None:
        """The rules, or where devices stand, are others from here on."""
        self.rules = {rule.threshold_id: rule for rule in rules}
        self.places = {place.series_id: place for place in places}
        for pair in list(self.clocks):
            threshold, series = pair
            rule = next((rule for rule in self.applying(series) if rule.threshold_id == threshold), None)
            if rule is None:
                place = self.places.get(series)
                reason = "threshold removed"
                if place is None or not place.enabled:
                    reason = "device deleted" if place is None else "device disabled"
                if pair in self.live:
                    self._close(pair, "ended", self.now, reason)
                del self.clocks[pair]
            else:
                self._drop_levels(pair, {level.severity for level in rule.levels})

    def _drop_levels(self, pair: tuple[int, int], left: set[int]) -> None:
        clocks = self.clocks[pair]
        was_on = bool(clocks.on)
        clocks.on &= left
        for clock in (clocks.since, clocks.counts, clocks.safe_since):
            for severity in set(clock) - left:
                del clock[severity]
        if was_on and not clocks.on:
            self._close(pair, "ended", self.now, "level removed")
            del self.clocks[pair]
        elif clocks.on and max(clocks.on) != self.live[pair].severity:
            self.live[pair].severity = max(clocks.on)
            self.live[pair].timeline.append(("lowered", self.now, max(clocks.on)))


def breaches(condition: str, x: float, level: LevelRule) -> bool:
    low, high = level.trigger, level.trigger_high
    match condition:
        case "above" | "rate_above":
            return x > low
        case "at_or_above":
            return x >= low
        case "below":
            return x < low
        case "at_or_below":
            return x <= low
        case "equal":
            return x == low
        case "not_equal":
            return x != low
        case "outside":
            assert high is not None
            return x < low or x > high
        case "inside":
            assert high is not None
            return low <= x <= high
    raise AssertionError(condition)


def is_safe(condition: str, x: float, level: LevelRule) -> bool:
    """On the safe side of the clear value, which by default is the trigger; of what does not breach."""
    low = level.trigger if level.clear is None else level.clear
    high = level.trigger_high if level.clear_high is None else level.clear_high
    match condition:
        case "above" | "at_or_above" | "rate_above":
            return x <= low
        case "below" | "at_or_below":
            return x >= low
        case "equal" | "not_equal":
            return True
        case "outside":
            assert high is not None
            return low <= x <= high
        case "inside":
            assert high is not None
            return x <= low or x >= high
    raise AssertionError(condition)


def in_force(rule: Rule, t: int) -> bool:
    """By the clock on the wall of the schedule's zone."""
    if rule.schedule is None:
        return True
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t)).astimezone(ZoneInfo(rule.schedule.zone))
    minute, today = local.hour * 60 + local.minute, local.weekday()
    for window in rule.schedule.windows:
        if window.start < window.end:
            if today in window.days and window.start <= minute < window.end:
                return True
        elif (today in window.days and minute >= window.start) or (
            (today - 1) % 7 in window.days and minute < window.end
        ):
            return True
    return False


def further(rule: Rule, known: float, new: float) -> float:
    match rule.condition:
        case "above" | "at_or_above" | "rate_above":
            return max(known, new)
        case "below" | "at_or_below":
            return min(known, new)
        case "outside":
            low: Any = rule.levels[0].trigger
            high: Any = rule.levels[0].trigger_high
            middle = low / 2 + high / 2
            return new if abs(new - middle) > abs(known - middle) else known
    return new
