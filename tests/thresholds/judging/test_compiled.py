"""Rules compiled into arrays: which apply to which series, and the interval of values that matter to none."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.thresholds.judging.streams import CONDITIONS, make_levels
from tests.thresholds.reference import breaches, is_safe
from thresholds.compiled import NO_GAP, Compiled, Place
from thresholds.rule import Rule, make_rule


def rule(threshold_id: int, metric: str = "a", **fields: Any) -> Rule:
    levels = fields.pop("levels", [{"severity": 2, "trigger": 80.0}])
    return make_rule(
        threshold_id=threshold_id, metric=metric, condition=fields.pop("condition", "above"), levels=levels, **fields
    )


def applied(rules: list[Rule], place: Place) -> list[int]:
    compiled = Compiled(rules)
    compiled.add(np.array([place.series_id], np.int32), [place])
    return [rules[number].threshold_id for number in compiled.rules_of(place.series_id)]


def test_a_rule_applies_by_device_by_type_by_any_group_above_or_to_all() -> None:
    rules = [
        rule(1, device_id=7),
        rule(2, device_type_id=3),
        rule(3, group_id=20),
        rule(4),
        rule(5, device_id=8),
        rule(6, device_type_id=4),
        rule(7, group_id=22),
        rule(8, metric="b"),
    ]
    assert applied(rules, Place(100, 7, "a", 3, (21, 20))) == [1, 2, 3, 4]
    assert applied(rules, Place(100, 9, "a")) == [4]
    assert applied(rules, Place(100, 7, "a", 3, (21, 20), enabled=False)) == []


def test_an_override_takes_the_other_away_where_it_applies_itself_even_if_it_is_overridden_too() -> None:
    rules = [rule(1), rule(2, group_id=20, overrides_id=1), rule(3, device_id=7, overrides_id=2)]
    assert applied(rules, Place(100, 7, "a", None, (20,))) == [3]
    assert applied(rules, Place(100, 8, "a", None, (20,))) == [2]
    assert applied(rules, Place(100, 8, "a")) == [1]


@pytest.mark.parametrize(
    ("fields", "interval", "gap"),
    [
        ({}, 10.0, 30_000_000),
        ({}, None, NO_GAP),
        ({"max_gap_seconds": 5}, 10.0, 5_000_000),
        ({"max_gap_seconds": 5, "gap_policy": "hold"}, 10.0, NO_GAP),
    ],
)
def test_the_longest_gap_is_the_rules_own_else_three_intervals(
    fields: dict[str, Any], interval: float | None, gap: int
) -> None:
    compiled = Compiled([rule(1, **fields)])
    compiled.add(np.array([5], np.int32), [Place(5, 1, "a", expected_interval=interval)])
    assert compiled.pair_gap.tolist() == [gap]


@given(st.randoms(use_true_random=False), st.sampled_from(CONDITIONS), st.floats(-50, 60, allow_subnormal=False))
def test_levels_become_intervals_and_no_harmless_value_breaches(random: Any, condition: str, value: float) -> None:
    made = rule(1, condition=condition, levels=make_levels(random, condition))
    compiled = Compiled([made])
    compiled.add(np.array([0], np.int32), [Place(0, 1, "a")])
    zero, values = np.zeros(1, np.intp), np.array([value])
    breaching = False
    for level in made.levels:
        breach = bool(compiled.breach[level.severity - 1].contain(zero, values)[0])
        safe = bool(compiled.safe[level.severity - 1].contain(zero, values)[0]) and not breach
        assert breach is breaches(condition, value, level)
        assert safe is (is_safe(condition, value, level) and not breach)
        breaching |= breach
    if condition != "rate_above" and compiled.low[0] <= value <= compiled.high[0]:
        assert not breaching


def test_a_level_that_a_rule_does_not_have_means_no_value() -> None:
    compiled = Compiled([rule(1), rule(2, levels=[{"severity": 4, "trigger": 1.0}])])
    values = np.array([-1e100, 0.0, 1e100])
    assert not compiled.breach[3].contain(np.zeros(3, np.intp), values).any()
    assert not compiled.safe[3].contain(np.zeros(3, np.intp), values).any()


def test_series_that_are_gone_have_no_rules_and_are_not_asked_for_again() -> None:
    compiled = Compiled([rule(1)])
    series = np.array([3, 4, 3], np.int32)
    assert compiled.unknown(series).tolist() == [3, 4]
    compiled.add(np.array([3, 4], np.int32), [Place(3, 1, "a")])
    assert compiled.unknown(series).tolist() == []
    assert (compiled.rules_of(3), compiled.rules_of(4)) == ([0], [])
    compiled.forget_series()
    assert compiled.unknown(series).tolist() == [3, 4]


def test_many_rules_and_many_series_are_compiled_in_seconds() -> None:
    rules = [rule(number, device_id=number) for number in range(1, 100_001)]
    places = [Place(number, number, "a", 3, (20, 21), 10.0) for number in range(1, 100_001)]
    began = time.perf_counter()
    compiled = Compiled(rules)
    compiled.add(np.arange(1, 100_001, dtype=np.int32), places)
    assert compiled.rules_of(77) == [76]
    assert time.perf_counter() - began < 10, "on any machine; about a second on a quiet one"
