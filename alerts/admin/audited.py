"""Admin pages whose every change is written down, as the API does it."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from alerts.api.documents import document
from telemetry.audit import audit

__all__ = ["AuditedAdmin"]


class AuditedAdmin(ModelAdmin):
    """The page of a change runs in one transaction (Django's own doing), so the audit stands or falls with it."""

    #: As the audit calls it.
    kind = ""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        request.before = document(self.model.objects.get(pk=obj.pk)) if change else None  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What belongs to the thing is saved by now."""
        super().save_related(request, form, formsets, change)
        stored = self.model.objects.get(pk=form.instance.pk)
        after = document(stored) | self.audit_note(form)
        before = request.before  # type: ignore[attr-defined]
        audit(self.kind, stored.pk, str(stored), "changed" if change else "created", request.user, before, after)

    def audit_note(self, form: Any) -> dict[str, Any]:
        """What the audit says beside the thing itself."""
        return {}

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit(self.kind, obj.pk, str(obj), "deleted", request.user, document(obj), None)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for thing in queryset:
            audit(self.kind, thing.pk, str(thing), "deleted", request.user, document(thing), None)
            thing.delete()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What belongs to it goes with it: that takes no permission of its own."""
        deletable, counts, _, protected = super().get_deleted_objects(objs, request)
        return deletable, counts, set(), protected
