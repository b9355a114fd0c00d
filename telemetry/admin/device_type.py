"""Device types with their metrics."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.decorators import display

from telemetry.admin.things import AuditedThingsAdmin
from telemetry.models import DeviceType, MetricDefinition
from telemetry.sight import sees_everything

__all__ = ["DeviceTypeAdmin"]


class MetricInline(TabularInline):
    model = MetricDefinition
    fields = ["name", "unit", "kind", "low", "high", "expected_interval"]
    extra = 0
    hide_title = True


@admin.register(DeviceType)
class DeviceTypeAdmin(AuditedThingsAdmin):
    list_display = ["name", "strictness", "metric_names", "device_count"]
    search_fields = ["name", "description"]
    fields = ["name", "description", "strict"]
    inlines = [MetricInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceType]:
        return super().get_queryset(request).prefetch_related("metrics").annotate(devices_count=Count("devices"))

    def in_sight(self, rows: QuerySet[DeviceType], user: Any) -> QuerySet[DeviceType]:
        return rows

    def may_manage(self, thing: DeviceType, user: Any) -> bool:
        """A type is of devices of all groups."""
        return sees_everything(user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and sees_everything(request.user)

    @display(description="Metrics")
    def metric_names(self, device_type: DeviceType) -> str:
        names = [str(metric) for metric in device_type.metrics.all()]
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    @display(description="Devices", ordering="devices_count")
    def device_count(self, device_type: Any) -> int:
        return int(device_type.devices_count)

    @display(description="Other metrics", label={"refused": "warning", "welcome": "success"})
    def strictness(self, device_type: DeviceType) -> str:
        return "refused" if device_type.strict else "welcome"
