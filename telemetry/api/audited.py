"""Views of devices, types, groups and keys whose every change is written down, in the transaction of the change."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from telemetry.audit_things import changing, created, deleted

__all__ = ["AuditedThings"]


class AuditedThings:
    """Mixed into the framework's generic views."""

    request: Any

    @transaction.atomic
    def perform_create(self, serializer: Any) -> None:
        created(serializer.save(), self.request.user)

    def perform_update(self, serializer: Any) -> None:
        with changing(serializer.instance, self.request.user):
            serializer.save()

    @transaction.atomic
    def perform_destroy(self, instance: Any) -> None:
        deleted(instance, self.request.user)
        instance.delete()
