"""The state machine of one (threshold, series): what each judged reading does to its clocks and its alert. Pure.

Decisions that docs/alerting.md explains are marked there; this file follows it line by line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from thresholds.rule import Flapping, LevelRule, Rule
from thresholds.transitions import Extreme, Progress, Transition, TransitionKind

__all__ = ["Machine", "Pair", "PairRows", "Setting", "State"]

#: (threshold id, series id)
Pair = tuple[int, int]


@dataclass(slots=True)
class State:
    """What is remembered of one (threshold, series), as thresholds.models.PairState; event times in µs.

    Lists have one place a severity (info first).
    """

    on: int = 0
    since: list[int | None] = field(default_factory=lambda: [None] * 4)
    counts: list[int] = field(default_factory=lambda: [0] * 4)
    safe_since: list[int | None] = field(default_factory=lambda: [None] * 4)
    waiting: bool = False
    openings: list[int] = field(default_factory=list)
    flapping: bool = False
    quiet_since: int | None = None
    #: What the live alert stands at; 0 where there is none.
    severity: int = 0

    def copy(self) -> State:
        return State(
            self.on,
            self.since.copy(),
            self.counts.copy(),
            self.safe_since.copy(),
            self.waiting,
            self.openings.copy(),
            self.flapping,
            self.quiet_since,
            self.severity,
        )

    @property
    def is_empty(self) -> bool:
        """Nothing to remember."""
        return not (self.severity or self.on or self.waiting or self.openings or any(self.counts))

    @property
    def is_resting(self) -> bool:
        """Only past openings are remembered: until they are too old, nothing but a breach changes it."""
        return bool(self.openings) and not (self.severity or self.on or self.waiting or any(self.counts))

    @property
    def is_steady(self) -> bool:
        """Some levels are on and no clock runs: readings that neither make an on level safe nor breach another one
        change nothing."""
        return bool(self.on) and not (self.waiting or any(self.counts)) and self.safe_since == [None] * 4


@dataclass(slots=True)
class PairRows:
    """The live, judged readings of one series for one rule, oldest first. Lists of equal length."""

    times: list[int]
    values: list[float]
    #: What is compared: the value, or the rate (NaN where there is none).
    compared: list[float]
    #: Bit (severity - 1): the level breaches; is safe.
    breach: list[int]
    safe: list[int]
    inside: list[bool]
    #: Further from the previous reading than the rule allows.
    gap: list[bool]
    #: Event time of the reading before, None where there was none.
    previous: list[int | None]
    imported: list[bool]
    #: Place in the chunk.
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Setting:
    """What judging knows beside readings and rules. ``now``: wall clock, µs since 1970."""

    now: int
    flapping: Flapping = field(default_factory=Flapping)


class Machine:
    """Takes one pair through its readings. ``state`` is changed in place; ``transitions`` are (row, transition)."""

    def __init__(
        self, rule: Rule, series_id: int, state: State, setting: Setting, lag: int, gap: int | None = None
    ) -> None:
        self.rule = rule
        self.series_id = series_id
        self.state = state
        self.transitions: list[tuple[int, Transition]] = []
        self._setting = setting
        self._lag = lag
        self._gap = gap
        self._levels = [(1 << level.severity - 1, level.severity - 1) for level in rule.levels]
        self._all = sum(bit for bit, _ in self._levels)
        self._sense, self._middle = rule.sense, rule.middle
        self._readings = 0
        self._extreme: float | None = None
        self._latest: int | None = None
        self._caught_up = False
        self._rows: PairRows

    def run(self, rows: PairRows) -> None:
        """Judge these readings."""
        self._rows = rows
        state, within = self.state, self._setting.flapping.within_us
        quiet, steady = state.is_empty or state.is_resting, state.is_steady
        for row, breach in enumerate(rows.breach):
            if quiet:
                is_over = state.openings and rows.times[row] - state.openings[-1] > within
                if not ((breach and rows.inside[row]) or is_over):
                    continue
            elif steady and not (rows.safe[row] & state.on or breach & ~state.on):
                self._note(row)
                continue
            self._step(row)
            quiet, steady = state.is_empty or state.is_resting, state.is_steady

    @property
    def progress(self) -> Progress | None:
        """What was added to the alert that is live now, since its last transition."""
        if self._latest is None or not self.state.severity:
            return None
        at, value = self._rows.times[self._latest], self._rows.values[self._latest]
        return Progress(
            self.rule.threshold_id, self.series_id, at, value, self._take_extreme(), self._readings, self._caught_up
        )

    # --- one reading --------------------------------------------------------------------------------------------

    def _step(self, row: int) -> None:
        state, rows = self.state, self._rows
        if state.waiting:
            if rows.safe[row] & self._all == self._all:
                state.waiting = False
        else:
            evidence = self._move_levels(row)
            self._move_alert(row, evidence)
        if not state.severity and state.openings:
            self._forget_openings(rows.times[row])

    def _move_levels(self, row: int) -> dict[str, Any]:
        """Each level by its own clocks. Answers how the highest level that went on came to it."""
        state, rows, rule = self.state, self._rows, self.rule
        at, safe = rows.times[row], rows.safe[row]
        breach = rows.breach[row] if rows.inside[row] else 0
        evidence: dict[str, Any] = {}
        for bit, place in self._levels:
            if state.on & bit:
                self._move_on(at, bit, place, bool(safe & bit))
                continue
            if rows.gap[row] or not breach & bit:
                state.since[place], state.counts[place] = None, 0
            if not breach & bit:
                continue
            since = state.since[place]
            if since is None:
                since = state.since[place] = at
            state.counts[place] += 1
            if at - since >= rule.for_us and state.counts[place] >= rule.consecutive:
                evidence = self._evidence(row, place, evidence.get("breaching", 0))
                state.on |= bit
                state.since[place], state.counts[place], state.safe_since[place] = None, 0, None
        return evidence

    def _move_on(self, at: int, bit: int, place: int, safe: bool) -> None:
        state = self.state
        if not safe:
            state.safe_since[place] = None
            return
        since = state.safe_since[place]
        if since is None:
            since = state.safe_since[place] = at
        if at - since >= self.rule.clear_for_us:
            state.on &= ~bit
            state.safe_since[place] = None

    def _move_alert(self, row: int, evidence: dict[str, Any]) -> None:
        state = self.state
        highest = state.on.bit_length()
        if not state.severity:
            if highest:
                self._open(row, highest, evidence)
            return
        if highest:
            state.quiet_since = None
            if highest != state.severity:
                before, state.severity = state.severity, highest
                self._note(row)
                self._emit("raised" if highest > before else "lowered", row)
                return
        elif self._is_over(self._rows.times[row]):
            self._clear(row)
            return
        self._note(row)

    def _open(self, row: int, severity: int, evidence: dict[str, Any]) -> None:
        state, flapping = self.state, self._setting.flapping
        at = self._rows.times[row]
        state.severity = severity
        state.openings = [opening for opening in state.openings if at - opening <= flapping.within_us] + [at]
        self._readings, self._extreme, self._latest, self._caught_up = 0, None, None, False
        self._note(row)
        self._readings = evidence["breaching"]
        self._emit("opened", row, evidence)
        if len(state.openings) > flapping.openings:
            state.flapping = True
            self._emit("flapping", row)

    def _is_over(self, at: int) -> bool:
        """No level is on. While flapping that has to last before the alert is."""
        state = self.state
        if not state.flapping:
            return True
        if state.quiet_since is None:
            state.quiet_since = at
        return at - state.quiet_since >= self._setting.flapping.within_us

    def _clear(self, row: int) -> None:
        state = self.state
        self._count(row)
        self._emit("cleared", row)
        state.severity = 0
        if state.flapping:
            state.flapping, state.openings, state.quiet_since = False, [], None

    def _forget_openings(self, at: int) -> None:
        if at - self.state.openings[-1] > self._setting.flapping.within_us:
            self.state.openings = []

    # --- what is told of it -------------------------------------------------------------------------------------

    def _note(self, row: int) -> None:
        """A reading of a live alert."""
        self._count(row)
        self._latest = row
        self._caught_up = self._caught_up or self._setting.now - self._rows.times[row] <= self._lag

    def _count(self, row: int) -> None:
        if not self._rows.breach[row]:
            return
        self._readings += 1
        compared, extreme = self._rows.compared[row], self._extreme
        if extreme is None or self._is_further(compared, extreme):
            self._extreme = compared

    def _is_further(self, value: float, than: float) -> bool:
        if self._sense == "high":
            return value > than
        if self._sense == "low":
            return value < than
        return self._sense == "latest" or abs(value - self._middle) > abs(than - self._middle)

    def _take_extreme(self) -> Extreme | None:
        return None if self._extreme is None else Extreme(self._extreme, self._sense, self._middle)

    def _emit(self, kind: TransitionKind, row: int, evidence: dict[str, Any] | None = None) -> None:
        rows, severity = self._rows, self.state.severity
        transition = Transition(
            kind,
            self.rule.threshold_id,
            self.series_id,
            rows.times[row],
            rows.values[row],
            severity,
            _level(self.rule, severity).as_trigger,
            evidence or {},
            kind == "opened" and rows.imported[row],
            self._caught_up,
            self._readings,
            self._take_extreme(),
        )
        self.transitions.append((rows.rows[row], transition))
        self._readings, self._extreme, self._latest = 0, None, None

    def _evidence(self, row: int, place: int, breaching: int) -> dict[str, Any]:
        """How a level came to be on, as JSON: seconds, event times in µs. ``max_gap_seconds`` None: unlimited, which it
        is under the gap policy hold. ``breaching``: readings in a row, of the level that needed most."""
        state, rows, rule = self.state, self._rows, self.rule
        at, since = rows.times[row], state.since[place]
        assert since is not None
        held = (at - since) / 1e6
        if rule.condition == "silent":
            since, held = rows.previous[row] or since, rows.values[row]
        return {
            "since": since,
            "held_seconds": held,
            "breaching": max(breaching, state.counts[place]),
            "for_seconds": rule.for_us / 1e6,
            "consecutive": rule.consecutive,
            "gap_policy": "reset" if rule.reset else "hold",
            "max_gap_seconds": None if self._gap is None else self._gap / 1e6,
            "previous": rows.previous[row],
            "compared": rows.compared[row],
        }


def _level(rule: Rule, severity: int) -> LevelRule:
    """The level of a severity; of one that was removed while the alert is quiet, the next lower one, else the lowest."""
    lower = [level for level in rule.levels if level.severity <= severity]
    return lower[-1] if lower else rule.levels[0]
