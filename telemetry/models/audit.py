"""Who did what: one row a change, written in the transaction of the change; and one a login, a refusal, a token.

Rows are only ever added: a trigger refuses to change or delete them, but for pruning what is older than AUDIT_KEEP_DAYS.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class AuditEntry(models.Model):
    """``before`` and ``after`` are the thing as the REST API shows it; null where it did not exist. Of what is no change,
    ``after`` says more about it."""

    class Action(models.TextChoices):
        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"
        LOGIN = "login"
        LOGIN_FAILED = "login_failed"
        LOCKED_OUT = "locked_out"
        UNLOCKED = "unlocked"
        DENIED = "denied"
        ISSUED = "issued"
        REFRESHED = "refreshed"
        REVOKED = "revoked"
        REUSED = "reused"

    #: "threshold", "silence", "channel", "route", …
    kind = models.CharField(max_length=40)
    object_id = models.BigIntegerField()
    object_name = models.CharField(max_length=500)
    action = models.CharField(max_length=20, choices=Action)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: Kept when the user is deleted; "system" where no user did it.
    who_name = models.CharField(max_length=150, default="system")
    #: How the user was known: by a "session" or a "token"; "" where nobody was.
    via = models.CharField(max_length=10, default="", db_default="")
    #: Of the client; "" where no request was answered.
    address = models.CharField(max_length=45, default="", db_default="")
    at = models.DateTimeField(db_default=Now())
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["kind", "object_id", "-at"], name="audit_of_object"),
            models.Index(fields=["-at", "-id"], name="audit_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.object_name} {self.action}"
