"""When a shard is drained again: few readings wait a little, a flow that nearly fills a columnar drain is collected, nothing
else waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotplatform.linger import Linger

ENOUGH = 5_000


def paced(*turns: tuple[int, float, float], enough: int | None = ENOUGH) -> Linger:
    """After turns of (readings, began, ended)."""
    linger = Linger()
    for readings, began, ended in turns:
        linger.drained(readings, began, ended, enough)
    return linger


def test_an_idle_shard_is_drained_at_once() -> None:
    assert Linger().left(0.0) == 0
    assert paced((3, 10.0, 10.01)).left(10.2) == 0


def test_few_readings_wait_for_more() -> None:
    assert paced((3, 10.0, 10.01)).left(10.02) == pytest.approx(0.07)


def test_a_flow_that_nearly_fills_a_columnar_drain_is_collected() -> None:
    """2,500 in 20 ms: 10,000, twice what is enough, are there 80 ms after the last drain looked."""
    assert paced((2_500, 9.98, 9.99), (2_500, 10.0, 10.02)).left(10.02) == pytest.approx(0.06)


def test_it_is_waited_for_as_long_as_a_reader_hardly_notices() -> None:
    assert paced((2_500, 9.965, 9.98), (2_500, 10.0, 10.02)).left(10.02) == pytest.approx(0.06)


def test_once_it_fills_the_pace_stays() -> None:
    assert paced((2_500, 9.92, 9.94), (10_000, 10.0, 10.02)).left(10.02) == pytest.approx(0.06)


def test_a_flow_too_small_or_large_enough_by_itself_does_not_wait() -> None:
    assert paced((2_500, 9.5, 9.52), (2_500, 10.0, 10.02)).left(10.02) == 0
    assert paced((50_000, 9.9, 9.99), (50_000, 10.0, 10.09)).left(10.09) == 0


def test_without_columns_only_few_readings_wait() -> None:
    assert paced((2_500, 9.95, 9.97), (2_500, 10.0, 10.02), enough=None).left(10.02) == 0
    assert paced((3, 10.0, 10.01), enough=None).left(10.01) > 0


def test_what_was_left_behind_does_not_wait() -> None:
    linger = paced((3, 10.0, 10.01))
    linger.left_some(50_000, ENOUGH)
    assert linger.left(10.01) == 0
    assert linger.large


@given(st.lists(st.tuples(st.integers(0, 100_000), st.floats(0, 1), st.floats(0, 1)), min_size=1))
def test_no_reading_waits_longer_than_the_pause(turns: list[tuple[int, float, float]]) -> None:
    linger, now = Linger(), 100.0
    for readings, pause, work in turns:
        began, now = now + pause, now + pause + work
        linger.drained(readings, began, now, ENOUGH)
        assert 0 <= linger.left(now) <= 0.08 + 1e-9


def test_large_is_what_had_many_times_enough_for_columns() -> None:
    linger = Linger()
    assert not linger.large
    linger.drained(12_000, began=0.0, ended=0.1, enough=2_000)
    assert linger.large
    linger.drained(11_999, began=0.2, ended=0.3, enough=2_000)
    assert not linger.large
    linger.drained(50_000, began=0.4, ended=0.5, enough=None)
    assert not linger.large, "rows: nobody waits for a turn"
