"""SCALE's way through one layout: processes and shards as asked for, and every check of order passed on real servers."""

from __future__ import annotations

import pytest

from benchmarks.measures import scale


def test_the_layouts_are_those_that_are_asked_for() -> None:
    assert {layout.web for layout in scale.LAYOUTS} == {layout.workers for layout in scale.LAYOUTS} == {1, 2, 4}
    assert {layout.shards for layout in scale.LAYOUTS} == {1, 4, 16}
    assert len(set(scale.LAYOUTS)) == len(scale.LAYOUTS)
    assert (scale.LAYOUTS[0], scale.LAYOUTS[-1]) == (scale.FIRST, scale.LAST)


@pytest.mark.slow
def test_one_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "READINGS", 50_000)
    found = scale.run(scale.Layout(web=1, workers=2, shards=3), None)
    assert (found["web"], found["workers"], found["shards"]) == (1, 2, 3)
    assert all(rate > 0 for rate in found["per_second"].values())
    assert found["share_of_r0"]["r0"] == 1
