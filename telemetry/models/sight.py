"""Whose devices a person sees: all of them, or those of some groups."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from telemetry.models.device import DeviceGroup


class DeviceSight(models.Model):
    """A person without such a row sees every device; with one, those of its groups and of all groups below them.

    So a row without groups shows nothing: taking the last group away from a person opens nothing.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, primary_key=True, on_delete=models.CASCADE, related_name="device_sight"
    )
    groups = models.ManyToManyField(DeviceGroup, blank=True, related_name="seen_by")

    class Meta:
        verbose_name = "restriction to device groups"
        verbose_name_plural = "restrictions to device groups"

    def __str__(self) -> str:
        return f"{self.user} sees {', '.join(group.path for group in self.groups.all()) or 'no device'}"
