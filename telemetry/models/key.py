"""Device keys: who may write readings, and for which devices."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from telemetry.models.device import Device, DeviceGroup

TOKEN_PREFIX = "iot"  # noqa: S105 - how a key begins, not a key


def digest_of(token: str) -> bytes:
    """SHA-256 of a key as sent. A fast hash is right here: the secret has 256 random bits, so it cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()


class DeviceKey(models.Model):
    """A bearer key. Only its hash is stored; the key itself is shown once, when it is made.

    It may write for one device, for a group with everything below it, or for all devices.
    """

    prefix = models.CharField(max_length=12, unique=True, editable=False)
    digest = models.BinaryField(max_length=32, unique=True, editable=False)
    name = models.CharField(max_length=100, blank=True, default="")
    device = models.ForeignKey(Device, null=True, blank=True, on_delete=models.CASCADE, related_name="keys")
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.CASCADE, related_name="keys")
    all_devices = models.BooleanField(default=False, help_text="May write for every device.")
    backfill = models.BooleanField(
        default=False, help_text="May send readings of any age; they are stored without being judged."
    )
    rate_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Readings per second; empty = the platform's default."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", editable=False
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                name="key_has_one_scope",
                condition=models.Q(device__isnull=False, group__isnull=True, all_devices=False)
                | models.Q(device__isnull=True, group__isnull=False, all_devices=False)
                | models.Q(device__isnull=True, group__isnull=True, all_devices=True),
                violation_error_message="A key is for exactly one of: a device, a group, all devices.",
            )
        ]

    def __str__(self) -> str:
        return f"{TOKEN_PREFIX}_{self.prefix}_…"

    def clean(self) -> None:
        if bool(self.device_id) + bool(self.group_id) + self.all_devices != 1:
            raise ValidationError("A key is for exactly one of: a device, a group, all devices.")

    def issue(self) -> str:
        """Give this new key its secret, save it, and return the key as it is sent. It cannot be had again."""
        self.prefix = secrets.token_hex(6)
        token = f"{TOKEN_PREFIX}_{self.prefix}_{secrets.token_urlsafe(32)}"
        self.digest = digest_of(token)
        self.save(force_insert=True)
        return token

    def state(self, now: datetime) -> str:
        """One of revoked, expired, valid."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"
