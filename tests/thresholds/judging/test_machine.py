"""What single readings do, case by case: boundaries, clocks, gaps, flapping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from thresholds.evaluate import judge_history
from thresholds.rule import Flapping, make_rule

SECOND = 1_000_000


def changes(
    values: dict[float, float] | list[float],
    *,
    condition: str = "above",
    levels: Any = None,
    interval: float | None = None,
    flapping: Flapping | None = None,
    **fields: Any,
) -> list[tuple[str, float, int]]:
    """(kind, second, severity) of what readings (second → value, or one a second) come to; "warning above 80" unless told.
    Levels: severity → trigger or (trigger, clear)."""
    if isinstance(values, list):
        values = dict(enumerate(values))
    made = []
    for severity, limits in (levels or {2: 80}).items():
        trigger, clear = limits if isinstance(limits, tuple) else (limits, None)
        ends = {"trigger": trigger, "clear": clear}
        if isinstance(trigger, list):
            ends = {"trigger": trigger[0], "trigger_high": trigger[1]}
            if clear is not None:
                ends |= {"clear": clear[0], "clear_high": clear[1]}
        made.append({"severity": severity, **ends})
    rule = make_rule(metric="m", condition=condition, levels=made, **fields)
    times = np.array([round(at * SECOND) for at in values], np.int64)
    found = judge_history(rule, 1, times, np.array(list(values.values()), np.float64), interval, flapping=flapping)
    return [(change.kind, change.at / SECOND, change.severity) for change in found]


@pytest.mark.parametrize(
    ("condition", "level", "at_limit", "beyond"),
    [
        ("above", 80, False, 80.1),
        ("at_or_above", 80, True, 80.1),
        ("below", 80, False, 79.9),
        ("at_or_below", 80, True, 79.9),
        ("outside", [20, 80], False, 19.9),
        ("inside", [80, 90], True, 85),
        ("equal", 80, True, 80),
    ],
)
def test_what_a_value_at_the_limit_means(condition: str, level: Any, at_limit: bool, beyond: float) -> None:
    assert bool(changes([80.0], condition=condition, levels={2: level})) is at_limit
    assert changes([beyond], condition=condition, levels={2: level}) == [("opened", 0, 2)]


def test_not_equal_breaches_at_everything_else_and_clears_at_once() -> None:
    assert changes([5, 6, 5], condition="not_equal", levels={2: 5}) == [("opened", 1, 2), ("cleared", 2, 2)]


def test_it_clears_at_the_clear_value_and_not_in_the_band_above_it() -> None:
    assert changes([85, 76, 75.1, 75], levels={2: (80, 75)}) == [("opened", 0, 2), ("cleared", 3, 2)]


def test_ranges_clear_within_their_clear_range() -> None:
    outside = {2: ([20, 80], [25, 75])}
    assert changes([81, 78, 24, 75], condition="outside", levels=outside) == [("opened", 0, 2), ("cleared", 3, 2)]
    inside = {2: ([20, 80], [15, 85])}
    assert changes([50, 82, 16, 85], condition="inside", levels=inside) == [("opened", 0, 2), ("cleared", 3, 2)]


def test_for_and_consecutive_must_both_hold() -> None:
    assert changes({0: 85, 10: 85, 11: 85}, for_seconds=10, consecutive=3) == [("opened", 11, 2)]
    assert changes({0: 85, 1: 85, 2: 85, 10: 85}, for_seconds=10, consecutive=3) == [("opened", 10, 2)]
    assert changes({0: 85, 5: 80, 6: 85, 15: 85}, for_seconds=10) == []


def test_each_level_has_its_own_clocks_and_the_highest_counts() -> None:
    levels = {2: 70, 4: 90}
    assert changes({0: 75, 5: 95, 10: 95, 15: 95, 16: 75, 17: 60}, levels=levels, for_seconds=10) == [
        ("opened", 10, 2),
        ("raised", 15, 4),
        ("lowered", 16, 2),
        ("cleared", 17, 2),
    ]
    assert changes([95, 60], levels=levels) == [("opened", 0, 4), ("cleared", 1, 4)]


def test_the_band_starts_clear_for_anew() -> None:
    values = {0: 85, 1: 70, 5: 78, 6: 70, 15: 70, 16: 70}
    assert changes(values, levels={2: (80, 75)}, clear_for_seconds=10) == [("opened", 0, 2), ("cleared", 16, 2)]


@pytest.mark.parametrize(
    ("fields", "opened"),
    [
        ({"max_gap_seconds": 30}, []),
        ({"max_gap_seconds": 60}, [("opened", 61, 2)]),
        ({"max_gap_seconds": 30, "gap_policy": "hold"}, [("opened", 61, 2)]),
        ({"interval": 10}, []),
        ({"interval": 20}, [("opened", 61, 2)]),
        ({}, [("opened", 61, 2)]),
    ],
)
def test_a_gap_starts_the_clock_anew_unless_it_is_to_be_held(fields: dict[str, Any], opened: list[Any]) -> None:
    assert changes({0: 85, 1: 85, 61: 85}, for_seconds=60, **fields) == opened


def test_rates_are_absolute_and_a_first_reading_has_none() -> None:
    values = {0: 1000, 1: 1005, 2: 999, 4: 999.5, 5: 999.5}
    assert changes(values, condition="rate_above", levels={2: 5}) == [("opened", 2, 2), ("cleared", 4, 2)]


def test_outside_its_schedule_nothing_goes_on_but_what_is_on_clears() -> None:
    first_minute = {"zone": "UTC", "windows": [{"days": ["thu"], "start": "00:00", "end": "00:01"}]}
    values = {0: 85, 70: 95, 80: 60, 90: 85}
    assert changes(values, levels={2: 80, 4: 90}, schedule=first_minute) == [("opened", 0, 2), ("cleared", 80, 2)]
    assert changes({50: 85, 70: 85, 80: 85}, for_seconds=30, schedule=first_minute) == []


FLAPPING = Flapping(2, 10 * SECOND)


def test_more_openings_than_allowed_within_the_window_are_flapping_until_it_is_quiet() -> None:
    values = {0: 85, 1: 60, 2: 85, 3: 60, 10: 85, 11: 60, 12: 85, 13: 60, 22.9: 60, 23: 60}
    assert changes(values, flapping=FLAPPING)[-4:] == [
        ("cleared", 3, 2),
        ("opened", 10, 2),
        ("flapping", 10, 2),
        ("cleared", 23, 2),
    ]


def test_openings_just_too_far_apart_are_not_flapping() -> None:
    values = {0: 85, 1: 60, 2: 85, 3: 60, 10.000001: 85, 11: 60}
    assert [kind for kind, *_ in changes(values, flapping=FLAPPING)] == ["opened", "cleared"] * 3


def test_severity_moves_on_while_flapping() -> None:
    values = {0: 85, 1: 60, 2: 85, 3: 60, 4: 85, 5: 60, 6: 95, 7: 85, 8: 60, 18: 60}
    assert changes(values, levels={2: 80, 4: 90}, flapping=FLAPPING)[-5:] == [
        ("opened", 4, 2),
        ("flapping", 4, 2),
        ("raised", 6, 4),
        ("lowered", 7, 2),
        ("cleared", 18, 2),
    ]


def test_silence_in_history_opens_when_it_has_lasted_and_ends_with_the_next_reading() -> None:
    rule = make_rule(
        metric="m", condition="silent", levels=[{"severity": 2, "trigger": 60}, {"severity": 4, "trigger": 120}]
    )
    times = np.array([0, 50, 200, 210], np.int64) * SECOND
    found = judge_history(rule, 1, times, np.zeros(4), until=300 * SECOND)
    assert [(change.kind, change.at / SECOND, change.severity) for change in found] == [
        ("opened", 110, 2),
        ("raised", 170, 4),
        ("cleared", 200, 4),
        ("opened", 270, 2),
    ]
