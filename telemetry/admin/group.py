"""The tree of groups."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Concat
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from telemetry.admin.things import AuditedThingsAdmin
from telemetry.models import Device, DeviceGroup
from telemetry.sight import sees_everything, visible_groups

__all__ = ["DeviceGroupAdmin"]


@admin.register(DeviceGroup)
class DeviceGroupAdmin(AuditedThingsAdmin):
    list_display = ["path", "device_count"]
    search_fields = ["path"]
    ordering = ["path"]
    fields = ["name", "parent"]
    autocomplete_fields = ["parent"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceGroup]:
        return super().get_queryset(request).annotate(devices_count=_devices_below())

    def in_sight(self, rows: QuerySet[DeviceGroup], user: Any) -> QuerySet[DeviceGroup]:
        return rows if sees_everything(user) else rows.filter(pk__in=visible_groups(user).values("pk"))

    def may_manage(self, thing: DeviceGroup, user: Any) -> bool:
        """The groups that a person was given stay as they are: what lies below them is that person's."""
        return sees_everything(user) or thing.parent_id in visible_groups(user).values_list("pk", flat=True)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if field is not None and not sees_everything(request.user):
            field.required = True
        return field

    @display(description="Devices, with those below", ordering="devices_count")
    def device_count(self, group: Any) -> SafeString:
        url = reverse("admin:telemetry_device_changelist", query={"group": group.path})
        return format_html('<a class="underline" href="{}">{}</a>', url, group.devices_count)


def _devices_below() -> Coalesce:
    """How many devices lie in a group and below it, for the groups that a page shows."""
    path = OuterRef(OuterRef("path"))
    branch = DeviceGroup.objects.filter(Q(path=path) | Q(path__startswith=Concat(path, Value("/")))).order_by()
    one_row = Device.objects.filter(group__in=branch.values("pk")).order_by().annotate(one=Value(1)).values("one")
    return Coalesce(Subquery(one_row.annotate(count=Count("pk")).values("count")), 0)
