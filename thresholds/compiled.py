"""Rules compiled into arrays, and which of them apply to which series. Pure.

Every level becomes two intervals of values: in the one (or outside of it) the level breaches, in the other (or outside
of it) it is safe. Every series gets the interval of values that breach nothing at all, so that most readings cost two
comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from thresholds.rule import Rule

__all__ = ["NO_GAP", "SEVERITIES", "Compiled", "Intervals", "Place"]

SEVERITIES = 4
#: No gap is longer.
NO_GAP = np.iinfo(np.int64).max
_INF = np.inf
_SIGNS = {"high": 1.0, "low": -1.0, "latest": 0.0, "far": 0.0}
_HOUR = 3_600_000_000
#: From, to, and whether the values outside of it are meant.
Interval = tuple[float, float, bool]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a series stands. ``group_ids``: its device's group and everything above it."""

    series_id: int
    device_id: int
    metric: str
    type_id: int | None = None
    group_ids: tuple[int, ...] = ()
    expected_interval: float | None = None
    #: Of a disabled device: nothing applies.
    enabled: bool = True


def breach_interval(condition: str, low: float, high: float | None) -> Interval:
    """The values that breach a trigger; of a rate or a silence that number stands for the value."""
    if condition in ("above", "rate_above"):
        return -_INF, low, True
    if condition in ("at_or_above", "silent"):
        return low, _INF, False
    if condition == "below":
        return low, _INF, True
    if condition == "at_or_below":
        return -_INF, low, False
    if condition in ("equal", "not_equal"):
        return low, low, condition == "not_equal"
    assert high is not None
    return low, high, condition == "outside"


def safe_interval(condition: str, low: float, high: float | None) -> Interval:
    """The values on the safe side of a clear value; those that breach are to be taken out."""
    if condition in ("above", "at_or_above", "rate_above", "silent"):
        return -_INF, low, False
    if condition in ("below", "at_or_below"):
        return low, _INF, False
    if condition in ("equal", "not_equal"):
        return -_INF, _INF, False
    assert high is not None
    if condition == "outside":
        return low, high, False
    return float(np.nextafter(low, _INF)), float(np.nextafter(high, -_INF)), True


def harmless_interval(breach: Interval) -> tuple[float, float]:
    """An interval of values that do not breach, as large as one can be."""
    low, high, outside = breach
    if outside:
        return low, high
    below, above = float(np.nextafter(low, -_INF)), float(np.nextafter(high, _INF))
    if high == _INF:
        return -_INF, below
    if low == -_INF:
        return above, _INF
    # Of a range in the middle the side with zero is kept: that is where most values are.
    return (-_INF, below) if low > 0 else (above, _INF)


class Intervals:
    """One interval a rule, of one severity's level: [from, to], or all but that."""

    def __init__(self, rules: int) -> None:
        #: Where a rule has no such level: no value at all.
        self.low = np.full(rules, _INF)
        self.high = np.full(rules, -_INF)
        self.outside = np.zeros(rules, np.bool_)

    def put(self, rule: int, interval: Interval) -> None:
        self.low[rule], self.high[rule], self.outside[rule] = interval

    def contain(self, rules: NDArray[np.intp], values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each value is meant by its rule. NaN never is."""
        within = (values >= self.low[rules]) & (values <= self.high[rules])
        return np.asarray((within ^ self.outside[rules]) & (values == values))


@dataclass(slots=True)
class _Block:
    """The rules that apply alike to many series."""

    number: int
    low: float
    high: float
    rate: bool
    silent: tuple[int, ...]


@dataclass(slots=True)
class Compiled:
    """The rules of one version. Series are added as they appear (``add``); arrays are indexed by series id."""

    rules: Sequence[Rule]
    breach: list[Intervals] = field(init=False)
    safe: list[Intervals] = field(init=False)
    #: Severities (0: info) that any rule has a level of, and by rule the bits of those it has.
    severities: list[int] = field(init=False)
    bits: NDArray[np.uint8] = field(init=False)
    scheduled: NDArray[np.bool_] = field(init=False)
    rate: NDArray[np.bool_] = field(init=False)
    #: How far a value is from what is safe: times ``sign``; where ``far``, from ``middle``.
    sign: NDArray[np.float64] = field(init=False)
    far: NDArray[np.bool_] = field(init=False)
    middle: NDArray[np.float64] = field(init=False)
    #: By series: whether it was added, values that breach nothing, whether rates are judged, the block of its rules,
    #: up to which age (µs) its newest reading is up to date with the clock, and the expected interval in seconds.
    known: NDArray[np.bool_] = field(init=False)
    low: NDArray[np.float64] = field(init=False)
    high: NDArray[np.float64] = field(init=False)
    has_rate: NDArray[np.bool_] = field(init=False)
    block: NDArray[np.int32] = field(init=False)
    lag: NDArray[np.int64] = field(init=False)
    #: By block: where its pairs begin and how many there are; by pair: rule, and longest gap in µs. Without silent ones.
    starts: NDArray[np.intp] = field(init=False)
    counts: NDArray[np.intp] = field(init=False)
    pair_rule: NDArray[np.intp] = field(init=False)
    pair_gap: NDArray[np.int64] = field(init=False)
    #: Series → its rules of silence.
    silent: dict[int, tuple[int, ...]] = field(init=False, default_factory=dict)
    _by_device: dict[tuple[int, str], list[int]] = field(init=False, default_factory=dict)
    _by_type: dict[tuple[int, str], list[int]] = field(init=False, default_factory=dict)
    _by_group: dict[tuple[int, str], list[int]] = field(init=False, default_factory=dict)
    _by_metric: dict[str, list[int]] = field(init=False, default_factory=dict)
    _hulls: list[tuple[float, float]] = field(init=False)
    _blocks: dict[tuple[tuple[int, ...], float | None], _Block] = field(init=False)
    _shared: dict[tuple[int | None, tuple[int, ...], str, float | None], _Block] = field(init=False)
    #: Blocks that the arrays do not hold yet: how many pairs each has, their rules and gaps.
    _new_counts: list[int] = field(init=False)
    _new_rules: list[int] = field(init=False)
    _new_gaps: list[int] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.rules)
        self.breach = [Intervals(count) for _ in range(SEVERITIES)]
        self.safe = [Intervals(count) for _ in range(SEVERITIES)]
        self.bits = np.zeros(count, np.uint8)
        self._hulls = []
        for number, rule in enumerate(self.rules):
            self._hulls.append(self._put(number, rule))
            self._index(number, rule)
        self.severities = [place for place in range(SEVERITIES) if (self.bits >> place & 1).any()]
        self.scheduled = np.array([rule.schedule is not None for rule in self.rules], np.bool_)
        self.rate = np.array([rule.condition == "rate_above" for rule in self.rules], np.bool_)
        senses = [rule.sense for rule in self.rules]
        self.sign = np.array([_SIGNS[sense] for sense in senses])
        self.far = np.array([sense == "far" for sense in senses], np.bool_)
        self.middle = np.array([rule.middle for rule in self.rules])
        self.forget_series()

    def forget_series(self) -> None:
        """Series may stand elsewhere now."""
        self.known = np.zeros(0, np.bool_)
        self.low, self.high = np.empty(0), np.empty(0)
        self.has_rate = np.zeros(0, np.bool_)
        self.block = np.zeros(0, np.int32)
        self.lag = np.zeros(0, np.int64)
        self.starts, self.counts = np.zeros(0, np.intp), np.zeros(0, np.intp)
        self.pair_rule, self.pair_gap = np.zeros(0, np.intp), np.zeros(0, np.int64)
        self.silent = {}
        self._blocks, self._shared = {}, {}
        self._new_counts, self._new_rules, self._new_gaps = [], [], []

    def unknown(self, series: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of these series that have to be added before they are judged."""
        self._grow(series)
        return np.unique(series[~self.known[series]])

    def add(self, series: NDArray[np.int32], places: Iterable[Place]) -> None:
        """Find the rules of these series. Those without a place are gone: nothing applies."""
        self._grow(series)
        self.known[series] = True
        self.low[series], self.high[series] = -_INF, _INF
        self.block[series] = self._block((), None).number
        found = [(place.series_id, self._block_of(place), place.expected_interval) for place in places]
        self._take_new_blocks()
        if not found:
            return
        ids = np.array([series_id for series_id, _, _ in found], np.int32)
        self.low[ids] = [block.low for _, block, _ in found]
        self.high[ids] = [block.high for _, block, _ in found]
        self.has_rate[ids] = [block.rate for _, block, _ in found]
        self.block[ids] = [block.number for _, block, _ in found]
        self.lag[ids] = [max(_HOUR, round(3e6 * (interval or 0))) for _, _, interval in found]
        self.silent.update({series_id: block.silent for series_id, block, _ in found if block.silent})

    def rules_of(self, series_id: int) -> list[int]:
        """The places of all rules that apply to a series that was added."""
        number = self.block[series_id]
        start = self.starts[number]
        return [*self.pair_rule[start : start + self.counts[number]].tolist(), *self.silent.get(series_id, ())]

    # --- inside -------------------------------------------------------------------------------------------------

    def _put(self, number: int, rule: Rule) -> tuple[float, float]:
        low, high = -_INF, _INF
        for level in rule.levels:
            place = level.severity - 1
            clear = level.trigger if level.clear is None else level.clear
            clear_high = level.trigger_high if level.clear_high is None else level.clear_high
            breach = breach_interval(rule.condition, level.trigger, level.trigger_high)
            self.breach[place].put(number, breach)
            self.safe[place].put(number, safe_interval(rule.condition, clear, clear_high))
            self.bits[number] |= 1 << place
            harmless = harmless_interval(breach)
            low, high = max(low, harmless[0]), min(high, harmless[1])
        return (-_INF, _INF) if rule.condition in ("rate_above", "silent") else (low, high)

    def _index(self, number: int, rule: Rule) -> None:
        if rule.device_id is not None:
            self._by_device.setdefault((rule.device_id, rule.metric), []).append(number)
        elif rule.type_id is not None:
            self._by_type.setdefault((rule.type_id, rule.metric), []).append(number)
        elif rule.group_id is not None:
            self._by_group.setdefault((rule.group_id, rule.metric), []).append(number)
        else:
            self._by_metric.setdefault(rule.metric, []).append(number)

    def _block_of(self, place: Place) -> _Block:
        if not place.enabled:
            return self._block((), None)
        own = self._by_device.get((place.device_id, place.metric))
        if own is not None:
            return self._block(self._applicable([*own, *self._common(place)]), place.expected_interval)
        key = (place.type_id, place.group_ids, place.metric, place.expected_interval)
        block = self._shared.get(key)
        if block is None:
            block = self._shared[key] = self._block(self._applicable(self._common(place)), place.expected_interval)
        return block

    def _common(self, place: Place) -> list[int]:
        """The rules that apply to it not by its own name."""
        found = list(self._by_metric.get(place.metric, ()))
        if place.type_id is not None:
            found += self._by_type.get((place.type_id, place.metric), ())
        for group in place.group_ids:
            found += self._by_group.get((group, place.metric), ())
        return found

    def _applicable(self, matching: list[int]) -> tuple[int, ...]:
        """Without those that another one overrides."""
        if len(matching) < 2:
            return tuple(matching)
        overridden = {self.rules[number].overrides for number in matching}
        return tuple(sorted(number for number in matching if self.rules[number].threshold_id not in overridden))

    def _block(self, numbers: tuple[int, ...], expected_interval: float | None) -> _Block:
        key = (numbers, expected_interval)
        if key in self._blocks:
            return self._blocks[key]
        low, high, rate, silent = -_INF, _INF, False, []
        for number in numbers:
            rule, hull = self.rules[number], self._hulls[number]
            if rule.condition == "silent":
                silent.append(number)
                continue
            low, high = max(low, hull[0]), min(high, hull[1])
            rate = rate or rule.condition == "rate_above"
            gap = rule.gap_us(expected_interval)
            self._new_rules.append(number)
            self._new_gaps.append(NO_GAP if gap is None else gap)
        self._new_counts.append(len(numbers) - len(silent))
        block = self._blocks[key] = _Block(len(self._blocks), low, high, rate, tuple(silent))
        return block

    def _take_new_blocks(self) -> None:
        counts = np.array(self._new_counts, np.intp)
        self.starts = np.concatenate([self.starts, len(self.pair_rule) + np.cumsum(counts) - counts])
        self.counts = np.concatenate([self.counts, counts])
        self.pair_rule = np.concatenate([self.pair_rule, np.array(self._new_rules, np.intp)])
        self.pair_gap = np.concatenate([self.pair_gap, np.array(self._new_gaps, np.int64)])
        self._new_counts, self._new_rules, self._new_gaps = [], [], []

    def _grow(self, series: NDArray[np.int32]) -> None:
        size = len(self.known)
        largest = int(series.max()) if len(series) else 0
        if largest < size:
            return
        more = max(largest + 1, 2 * size, 1024) - size
        self.known = np.concatenate([self.known, np.zeros(more, np.bool_)])
        self.low = np.concatenate([self.low, np.full(more, -_INF)])
        self.high = np.concatenate([self.high, np.full(more, _INF)])
        self.has_rate = np.concatenate([self.has_rate, np.zeros(more, np.bool_)])
        self.block = np.concatenate([self.block, np.zeros(more, np.int32)])
        self.lag = np.concatenate([self.lag, np.full(more, _HOUR)])
