"""Admin pages of devices and what belongs to them: they show what a person sees, take no choice beyond, and write down
every change of devices, types, groups and keys."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RelatedDropdownFilter

from telemetry.audit import audit
from telemetry.audit_things import created, deleted, document, kind_of
from telemetry.models import Device, DeviceGroup
from telemetry.sight import visible_devices, visible_groups

__all__ = ["AuditedThingsAdmin", "SeenAdmin", "SeenGroupsFilter", "seen_group_paths"]


class SeenAdmin(ModelAdmin):
    """What a person sees: `in_sight` says it of the rows; devices and groups to choose from are those that the person sees."""

    def in_sight(self, rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
        """Those of the rows that this person sees."""
        raise NotImplementedError

    def may_manage(self, thing: Any, user: Any) -> bool:
        """Whether what is seen may also be changed, where the person's permissions allow it."""
        return True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.in_sight(super().get_queryset(request), request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or self.may_manage(obj, request.user))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or self.may_manage(obj, request.user))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Device:
            kwargs["queryset"] = visible_devices(request.user)
        elif db_field.related_model is DeviceGroup:
            kwargs["queryset"] = visible_groups(request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class AuditedThingsAdmin(SeenAdmin):
    """The page of a change runs in one transaction (Django's own doing), so the audit stands or falls with it."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        request.before = document(self.model._default_manager.get(pk=obj.pk)) if change else None  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What belongs to the thing is saved by now."""
        super().save_related(request, form, formsets, change)
        stored = self.model._default_manager.get(pk=form.instance.pk)
        if not change:
            created(stored, request.user)
            return
        before = request.before  # type: ignore[attr-defined]
        audit(kind_of(stored), stored.pk, str(stored), "changed", request.user, before, document(stored))

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        deleted(obj, request.user)
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        for thing in queryset:
            deleted(thing, request.user)
            thing.delete()


class SeenGroupsFilter(RelatedDropdownFilter):
    """Of the groups that the person sees."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(group.pk, str(group)) for group in visible_groups(request.user).order_by("path")]


def seen_group_paths(request: HttpRequest) -> list[tuple[str, str]]:
    """The groups that a filter offers."""
    return [(path, path) for path in visible_groups(request.user).order_by("path").values_list("path", flat=True)]
