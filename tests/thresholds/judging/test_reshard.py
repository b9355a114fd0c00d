"""Another number of shards: what judging remembers is found by the drains that have its devices from then on."""

from __future__ import annotations

import pytest

from telemetry.models import LogLayout, Series
from tests.builders import make_device
from thresholds.models import PairState, ShardJudging


def remember(series_id: int, shard: int) -> None:
    lists = {"since": [None] * 4, "counts": [0] * 4, "safe_since": [None] * 4}
    PairState.objects.create(threshold_id=1, series_id=series_id, shard=shard, on_levels=2, severity=2, **lists)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("shards", [1, 3, 7])
def test_states_move_with_their_devices_and_every_judge_begins_anew(platform_db: None, shards: int) -> None:
    before = LogLayout.objects.get().shards
    devices = {}
    for _ in range(12):
        device = make_device()
        series = Series.objects.create(device=device, metric="t")
        devices[series.pk] = device.pk
        remember(series.pk, device.pk % before)
    gone = 10**9
    remember(gone, before - 1)
    ShardJudging.objects.create(shard=0, epoch=5)
    LogLayout.objects.update(shards=shards)
    moved = dict(PairState.objects.values_list("series_id", "shard"))
    assert 0 <= moved.pop(gone) < shards, "some drain ends it"
    assert moved == {series: device % shards for series, device in devices.items()}
    epochs = dict(ShardJudging.objects.values_list("shard", "epoch"))
    assert epochs == {shard: 6 if shard == 0 else 1 for shard in range(max(before, shards))}


@pytest.mark.django_db(transaction=True)
def test_a_layout_that_keeps_its_shards_moves_nothing(platform_db: None) -> None:
    LogLayout.objects.update(shards=LogLayout.objects.get().shards, open=True)
    assert not ShardJudging.objects.exists()
