"""Quarantine: what could not be stored, with the reason, until somebody replays or discards it."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class QuarantinedReading(models.Model):
    """One reading that was refused, or the bytes of a log entry that could not be stored."""

    class State(models.TextChoices):
        WAITING = "waiting"
        REPLAYED = "replayed"
        DISCARDED = "discarded"

    received_at = models.DateTimeField(help_text="When it arrived (UTC).")
    device = models.CharField(max_length=200, blank=True, default="", help_text="As the sender named it.")
    field = models.CharField(
        max_length=200, blank=True, default="", help_text="What was wrong, e.g. metrics.temperature."
    )
    code = models.CharField(max_length=32, help_text="Machine-readable reason.")
    detail = models.TextField(blank=True, default="")
    payload = models.TextField(blank=True, default="", help_text="The reading as JSON, as it was sent.")
    raw = models.BinaryField(null=True, editable=False, help_text="Bytes of a log entry that was set aside.")
    key_prefix = models.CharField(max_length=12, blank=True, default="", help_text="The key it came with.")
    request_id = models.CharField(max_length=32, blank=True, default="")
    state = models.CharField(max_length=10, choices=State, default=State.WAITING, db_default="waiting")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["device", "-id"], name="quarantine_device"),
            models.Index(fields=["state", "-id"], name="quarantine_state"),
        ]

    def __str__(self) -> str:
        return f"{self.device or 'unknown device'}: {self.code}"


class QuarantineDropped(models.Model):
    """How many refused readings were not kept, because the quarantine was full or a device sent too many."""

    device = models.CharField(max_length=200, primary_key=True)
    dropped = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()
