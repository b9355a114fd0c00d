"""Series: the pairs of device and metric that readings belong to."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from telemetry.models.device import Device


class Series(models.Model):
    """One metric of one device. The id stands in every reading and is never used again."""

    id = models.AutoField(primary_key=True)
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="series")
    metric = models.CharField(max_length=100)
    boolean = models.BooleanField(default=False, db_default=False, help_text="Its first value was true or false.")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        verbose_name_plural = "series"
        ordering = ["device", "metric"]
        constraints = [models.UniqueConstraint(fields=["device", "metric"], name="series_once_per_device")]

    def __str__(self) -> str:
        return f"{self.device} · {self.metric}"


class PurgedSeries(models.Model):
    """A series of a deleted device whose readings still have to be removed from the store."""

    series_id = models.IntegerField(primary_key=True)
    requested_at = models.DateTimeField(auto_now_add=True, db_default=Now())
