"""The fast evaluator against the slow, obvious one, over whatever hypothesis makes up."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.judging.streams import OPENINGS, START, WITHIN, Change, Read, as_clocks, make_stream, run_fast
from tests.thresholds.reference import Clocks, Reference

HOUR = 3_600_000_000
#: Some readings are up to date with it, others are not.
NOWS = [START, START + HOUR + 30_000_000, START + 7 * HOUR]


def run_reference(stream: list[Any], now: int) -> Reference:
    reference = Reference([], [], now, OPENINGS, WITHIN)
    for step in stream:
        if isinstance(step, Read):
            reference.read(step.series, step.time, step.value, step.judged, step.imported)
        elif isinstance(step, Change):
            reference.change(list(step.rules), list(step.places))
        elif reference.live:
            reference.resolve(sorted(reference.live)[step.place % len(reference.live)])
    return reference


def check(random: Random) -> None:
    stream, now = make_stream(random), random.choice(NOWS)
    share = random.choice([0, 0.1, 0.5, 1])
    cuts = {place for place in range(len(stream)) if random.random() < share}
    slow, fast = run_reference(stream, now), run_fast(stream, now, cuts)
    by_pair = lambda alerts: sorted(alerts, key=lambda alert: (alert.threshold_id, alert.series_id))  # noqa: E731
    assert by_pair(fast.alerts) == by_pair(slow.alerts)
    remembered = {pair: clock for pair, clock in slow.clocks.items() if clock != Clocks()}
    assert {pair: as_clocks(state) for pair, state in fast.states.items()} == remembered
    assert fast.late == slow.late
    assert {pair: alert.severity for pair, alert in slow.live.items()} == {
        pair: state.severity for pair, state in fast.states.items() if state.severity
    }


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_fast_evaluator_finds_what_the_slow_one_finds(random: Random) -> None:
    check(random)


@pytest.mark.parametrize("round_", range(4))
def test_it_does_so_over_many_more_streams(round_: int) -> None:
    for number in range(300):
        seed = f"{round_}/{number}"
        try:
            check(Random(seed))
        except AssertionError as error:
            raise AssertionError(f"with the seed {seed!r}") from error
