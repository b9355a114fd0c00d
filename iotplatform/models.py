"""What access has to remember, which tokens are out and who failed to log in; and which backups were made."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

__all__ = ["BackupRun", "LoginFailures", "TokenFamily"]


class TokenFamily(models.Model):
    """The tokens that descend from one login. Of its refresh tokens only the newest is good; when an older one comes,
    somebody else has it too, and the whole family ends."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="token_families")
    scopes = ArrayField(models.CharField(max_length=40))
    #: `jti` of the refresh token that is good.
    current = models.CharField(max_length=32)
    address = models.CharField(max_length=45, blank=True, default="")
    issued_at = models.DateTimeField(db_default=Now())
    refreshed_at = models.DateTimeField(db_default=Now())
    #: No token of the family is good after that, however often it is refreshed.
    ends_at = models.DateTimeField()
    #: When the newest refresh token expires; such a family is forgotten.
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "token"
        verbose_name_plural = "tokens"

    def __str__(self) -> str:
        return f"token of {self.user}"


class LoginFailures(models.Model):
    """How often a login failed in a row for one name, or from one address, and until when it is not even tried."""

    class Kind(models.TextChoices):
        NAME = "name"
        ADDRESS = "address"

    kind = models.CharField(max_length=7, choices=Kind)
    #: The user name as it was typed, in lower case, whether there is such a user or not; or the address.
    value = models.CharField(max_length=150)
    failures = models.PositiveIntegerField(default=0, db_default=0)
    last_at = models.DateTimeField(db_default=Now(), db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "failed login"
        verbose_name_plural = "failed logins"
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="login_failures_once")]

    def __str__(self) -> str:
        return f"{self.failures} failed logins of {self.value}"


class BackupRun(models.Model):
    """One backup that was begun. A restored database lacks the row of the backup that it comes from."""

    name = models.CharField(max_length=40, blank=True, default="", db_default="")
    started_at = models.DateTimeField(db_default=Now())
    #: None while it is made, and for ever where its process was killed.
    finished_at = models.DateTimeField(null=True)
    bytes = models.BigIntegerField(default=0, db_default=0)
    #: Why it failed; empty where it did not.
    error = models.TextField(blank=True, default="", db_default="")
    scheduled = models.BooleanField(default=False, db_default=False)

    class Meta:
        verbose_name = "backup"
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name or "backup"
