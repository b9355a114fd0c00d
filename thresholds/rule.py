"""A threshold as judging reads it: plain records, times in µs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from thresholds.schedule import Schedule, parse

__all__ = ["RANGES", "Flapping", "LevelRule", "Rule", "make_rule"]

#: Conditions whose trigger is a range [low, high].
RANGES = frozenset({"outside", "inside"})
_SENSES = {
    **dict.fromkeys(("above", "at_or_above", "rate_above", "silent"), "high"),
    **dict.fromkeys(("below", "at_or_below"), "low"),
    **dict.fromkeys(("equal", "not_equal", "inside"), "latest"),
    "outside": "far",
}


@dataclass(frozen=True, slots=True)
class LevelRule:
    """From which value on it is this severity (1: info to 4: critical). None as clear value: as the trigger."""

    severity: int
    trigger: float
    trigger_high: float | None = None
    clear: float | None = None
    clear_high: float | None = None

    @property
    def as_trigger(self) -> float | list[float]:
        """A number, or [low, high]."""
        return self.trigger if self.trigger_high is None else [self.trigger, self.trigger_high]


@dataclass(frozen=True, slots=True)
class Rule:
    """One enabled threshold. Exactly one of device, type, group is set, or none of them: all devices."""

    threshold_id: int
    metric: str
    condition: str
    #: In order of severity, at least one.
    levels: tuple[LevelRule, ...]
    #: How long and how many readings in a row it must hold, and how long the safe side before it clears.
    for_us: int = 0
    consecutive: int = 1
    clear_for_us: int = 0
    #: None: three times the expected interval of the series, unlimited where none is known.
    max_gap_us: int | None = None
    #: The gap policy: start anew after a gap, or let the clock run across it.
    reset: bool = True
    schedule: Schedule | None = None
    device_id: int | None = None
    type_id: int | None = None
    group_id: int | None = None
    #: The threshold that is not judged where this one applies.
    overrides: int | None = None

    @property
    def sense(self) -> Any:
        """Which of two values is further from what is safe, as thresholds.transitions.Extreme says it."""
        return _SENSES[self.condition]

    @property
    def middle(self) -> float:
        """Of ``outside``: the middle of its lowest level's range."""
        low = self.levels[0]
        return 0.0 if low.trigger_high is None else low.trigger / 2 + low.trigger_high / 2

    def gap_us(self, expected_interval: float | None) -> int | None:
        """Readings further apart than this start the clocks anew; None: never. ``expected_interval`` in seconds."""
        if not self.reset:
            return None
        if self.max_gap_us is not None:
            return self.max_gap_us
        return None if expected_interval is None else round(3e6 * expected_interval)


@dataclass(frozen=True, slots=True)
class Flapping:
    """More than so many openings within so long mark an alert as flapping."""

    openings: int = 5
    within_us: int = 600_000_000


def make_rule(
    *,
    metric: str,
    condition: str,
    levels: Iterable[Mapping[str, Any]],
    threshold_id: int = 0,
    for_seconds: float = 0,
    consecutive: int = 1,
    clear_for_seconds: float = 0,
    max_gap_seconds: float | None = None,
    gap_policy: str = "reset",
    schedule: Any = None,
    device_id: int | None = None,
    device_type_id: int | None = None,
    group_id: int | None = None,
    overrides_id: int | None = None,
) -> Rule:
    """A rule of what the columns of thresholds_threshold and thresholds_level hold (names and units as there; each level
    severity, trigger, trigger_high, clear, clear_high). ``schedule`` is its JSON. Raises ScheduleError.
    """
    rows = sorted(levels, key=lambda level: int(level["severity"]))
    return Rule(
        threshold_id,
        metric,
        condition,
        tuple(
            LevelRule(
                int(level["severity"]),
                float(level["trigger"]),
                level.get("trigger_high"),
                level.get("clear"),
                level.get("clear_high"),
            )
            for level in rows
        ),
        round(for_seconds * 1e6),
        consecutive,
        round(clear_for_seconds * 1e6),
        None if max_gap_seconds is None else round(max_gap_seconds * 1e6),
        gap_policy == "reset",
        parse(schedule),
        device_id,
        device_type_id,
        group_id,
        overrides_id,
    )
