"""Deleting a device meets the drains: it takes the lock of the device's shard, so that no drain stores for it afterwards."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F

from telemetry.models import Device, LogLayout, PurgedSeries, Series, ShardPosition

__all__ = ["delete_device"]


@transaction.atomic
def delete_device(device: Device) -> None:
    """Delete a device with its keys and series. Readings of it that still wait in the log go to quarantine; stored ones
    are removed in the background. Its series ids are never used again.

    Waits for a drain of its shard to end, at most as long as a lock may be waited for (then OperationalError).
    """
    shards = LogLayout.objects.values_list("shards", flat=True).get()
    position = ShardPosition.objects.select_for_update().get(shard=device.pk % shards)
    ShardPosition.objects.filter(pk=position.pk).update(series_epoch=F("series_epoch") + 1)
    series = Series.objects.filter(device=device).values_list("id", flat=True)
    PurgedSeries.objects.bulk_create([PurgedSeries(series_id=series_id) for series_id in series], ignore_conflicts=True)
    device.delete()
