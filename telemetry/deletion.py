"""Deleting a device meets the drains: it takes the lock of the device's shard, so that no drain stores for it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import F

from telemetry.audit_things import deleted
from telemetry.models import Device, LogLayout, PurgedSeries, Series, ShardPosition

__all__ = ["before_deletion", "delete_device"]

#: What apps above have to do for a device that goes, in its transaction; they add themselves when they are loaded.
before_deletion: list[Callable[[Device, Any], None]] = []


@transaction.atomic
def delete_device(device: Device, user: Any = None) -> None:
    """Delete a device with its keys and series, and with what is about it alone. Readings of it that still wait in the
    log go to quarantine; stored ones are removed in the background. Its series ids are never used again. ``user`` is who
    does it, None for the platform itself.

    Waits for a drain of its shard to end, at most as long as a lock may be waited for (then OperationalError).
    """
    shards = LogLayout.objects.values_list("shards", flat=True).get()
    position = ShardPosition.objects.select_for_update().get(shard=device.pk % shards)
    ShardPosition.objects.filter(pk=position.pk).update(series_epoch=F("series_epoch") + 1)
    series = Series.objects.filter(device=device).values_list("id", flat=True)
    PurgedSeries.objects.bulk_create([PurgedSeries(series_id=series_id) for series_id in series], ignore_conflicts=True)
    deleted(device, user)
    for goes_along in before_deletion:
        goes_along(device, user)
    device.delete()
