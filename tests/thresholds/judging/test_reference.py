"""The fast evaluator against the slow, obvious one, over whatever hypothesis makes up."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thresholds.judging.streams import OPENINGS, START, WITHIN, Change, Read, as_clocks, run_fast, streams
from tests.thresholds.reference import Clocks, Reference

HOUR = 3_600_000_000
cuts = st.sets(st.integers(0, 60))
#: Some readings are up to date with it, others are not.
clocks = st.sampled_from([START, START + HOUR + 20_000_000, START + 7 * HOUR])


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


@settings(max_examples=1500, deadline=None)
@given(streams(), clocks, cuts)
def test_the_fast_evaluator_finds_what_the_slow_one_finds(stream: list[Any], now: int, cut_at: set[int]) -> None:
    slow, fast = run_reference(stream, now), run_fast(stream, now, cut_at)
    by_pair = lambda alerts: sorted(alerts, key=lambda alert: (alert.threshold_id, alert.series_id))  # noqa: E731
    assert by_pair(fast.alerts) == by_pair(slow.alerts)
    remembered = {pair: clock for pair, clock in slow.clocks.items() if clock != Clocks()}
    assert {pair: as_clocks(state) for pair, state in fast.states.items()} == remembered
    assert fast.late == slow.late
    assert {pair: alert.severity for pair, alert in slow.live.items()} == {
        pair: state.severity for pair, state in fast.states.items() if state.severity
    }
