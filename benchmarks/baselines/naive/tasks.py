"""The naive project's Celery application and its one task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from celery import Celery

app = Celery("naive")
app.config_from_object("django.conf:settings", namespace="CELERY")


@app.task(name="naive.store")
def store(readings: list[dict[str, Any]]) -> None:
    """Store the readings of one request in one transaction."""
    from benchmarks.baselines.naive.models import Device, Reading

    devices = dict(Device.objects.filter(name__in={row["device"] for row in readings}).values_list("name", "id"))
    rows = [
        Reading(
            device_id=devices[row["device"]],
            metric=row["metric"],
            time=datetime.fromisoformat(row["time"]),
            value=row["value"],
        )
        for row in readings
    ]
    Reading.objects.bulk_create(rows, ignore_conflicts=True)
