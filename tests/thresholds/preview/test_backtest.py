"""A preview judges in parts: that changes nothing, and it can be broken off."""

from __future__ import annotations

import numpy as np
import pytest

from thresholds import backtest
from thresholds.backtest import judge_in_parts
from thresholds.evaluate import judge_history
from thresholds.rule import Flapping, Rule, make_rule
from thresholds.transitions import Transition

MINUTE = 60_000_000
RULES = [
    make_rule(
        metric="t", condition="above", levels=[{"severity": 2, "trigger": 6}, {"severity": 4, "trigger": 8, "clear": 5}]
    ),
    make_rule(metric="t", condition="above", levels=[{"severity": 3, "trigger": 5}], for_seconds=180, consecutive=2),
    make_rule(metric="t", condition="below", levels=[{"severity": 3, "trigger": 3, "clear": 5}], clear_for_seconds=120),
    make_rule(metric="t", condition="rate_above", levels=[{"severity": 1, "trigger": 0.1}]),
    make_rule(
        metric="t", condition="outside", levels=[{"severity": 1, "trigger": 2, "trigger_high": 8}], max_gap_seconds=90
    ),
    make_rule(metric="t", condition="silent", levels=[{"severity": 1, "trigger": 150}]),
]


@pytest.mark.parametrize("part", [1, 7, 100])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.condition)
def test_parts_change_nothing(rule: Rule, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "_PART", part)
    random = np.random.default_rng(7)
    times = np.cumsum(random.integers(1, 4, 400)) * MINUTE
    values = np.clip(np.cumsum(random.normal(0, 1.5, 400)) % 10, 0, 10)
    whole = judge_history(rule, 0, times, values, 60.0, until=int(times[-1]))
    cut = judge_in_parts(rule, times, values, 60.0, Flapping(), int(times[-1]), check=lambda: None)
    told = [step for step in cut if isinstance(step, Transition)]
    assert len(whole) > 5
    assert [(step.kind, step.at, step.severity) for step in told] == [
        (step.kind, step.at, step.severity) for step in whole
    ]


def test_it_can_be_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "_PART", 10)
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise TimeoutError

    times = np.arange(100, dtype=np.int64) * MINUTE
    with pytest.raises(TimeoutError):
        list(judge_in_parts(RULES[0], times, times * 0.0, None, Flapping(), 0, check))
    assert len(calls) == 3
