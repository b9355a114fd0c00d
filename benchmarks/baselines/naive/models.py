"""One row an object, found by its natural key."""

from __future__ import annotations

from django.db import models


class Device(models.Model):
    name = models.CharField(max_length=200, unique=True)


class Reading(models.Model):
    device = models.ForeignKey(Device, on_delete=models.CASCADE)
    metric = models.CharField(max_length=100)
    time = models.DateTimeField()
    value = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["device", "metric", "time"], name="naive_reading_once")]
