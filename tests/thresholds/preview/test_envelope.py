"""Many readings as few points: no peak is lost, and gaps stay gaps."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from telemetry.query.columns import Columns
from thresholds.admin.chart import draw
from thresholds.envelope import envelope
from thresholds.rule import make_rule

MINUTE = 60_000_000


@given(
    st.lists(st.integers(0, 9_999), min_size=1, max_size=60, unique=True),
    st.integers(1, 50),
    st.randoms(use_true_random=False),
)
def test_every_part_knows_its_extremes(times: list[int], parts: int, random: object) -> None:
    at = np.array(sorted(times), np.int64)
    values = np.array([random.uniform(-5, 5) for _ in times])  # type: ignore[attr-defined]
    found = envelope(at, values, 0, 10_000, parts)
    expected: dict[int, list[float]] = {}
    for time, value in zip(at.tolist(), values.tolist(), strict=True):
        expected.setdefault(time * parts // 10_000, []).append(value)
    assert found.places.tolist() == sorted(expected)
    assert len(found.places) <= parts
    for place, low, high, mean in zip(found.places.tolist(), found.low, found.high, found.mean, strict=True):
        assert (low, high) == (min(expected[place]), max(expected[place]))
        assert np.isclose(mean, sum(expected[place]) / len(expected[place]))


def test_nothing_has_an_empty_envelope() -> None:
    assert len(envelope(np.empty(0, np.int64), np.empty(0), 0, 1, 10).places) == 0


def test_a_gap_stays_open_and_a_year_is_at_most_a_thousand_points() -> None:
    times = np.arange(0, 365 * 1440, dtype=np.int64)
    times = times[(times < 100_000) | (times > 150_000)] * MINUTE
    rule = make_rule(metric="t", condition="above", levels=[{"severity": 3, "trigger": 80, "clear": 75}])
    chart = draw(rule, Columns(times, np.sin(times / 1e11)), [], 0, 365 * 1440 * MINUTE, "°C")
    assert chart.mean.count("M") == 2
    assert chart.mean.count("L") < 1000
    assert [(line.severity, line.clears, line.text) for line in chart.lines] == [
        ("major", False, "80 °C"),
        ("major", True, "75 °C"),
    ]
    assert all(0 <= tick.at <= 100 for tick in [*chart.up, *chart.across])
    assert 3 <= len(chart.across) <= 8
