"""Routes in the admin, with their escalation steps."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import display

from alerts.admin.audited import AuditedAdmin
from alerts.admin.form_fields import LabelsField
from alerts.models import EscalationStep, Route
from thresholds.models import Severity

__all__ = ["RouteAdmin"]


class RouteForm(forms.ModelForm):  # type: ignore[type-arg]
    labels = LabelsField(help_text="One a line; the device must have all of them.")

    class Meta:
        model = Route
        fields = ["name", "enabled", "position", "continues", "min_severity", "threshold", "group", "device_type"]
        fields += ["labels", "channels", "group_seconds", "repeat_minutes", "recovery"]
        labels: ClassVar = {
            "continues": "Continue",
            "group_seconds": "Grouping (seconds)",
            "repeat_minutes": "Repeat every (minutes)",
            "min_severity": "From severity",
            "recovery": "Recovery notice",
        }


class StepInline(TabularInline):
    """Whoever may do something with a route may do it with its steps."""

    model = EscalationStep
    fields = ["after_minutes", "channels"]
    autocomplete_fields = ["channels"]
    verbose_name = "escalation step"
    verbose_name_plural = "If nobody acknowledges"
    extra = 0
    max_num = 20

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("alerts.change_route" if obj else "alerts.add_route")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("alerts.view_route") or self.has_add_permission(request, obj)


@admin.register(Route)
class RouteAdmin(AuditedAdmin):
    kind = "route"
    form = RouteForm
    inlines = [StepInline]
    list_display = ["name", "position", "matches", "tells", "follows", "enabled"]
    list_filter = [("enabled", BooleanRadioFilter)]
    search_fields = ["name"]
    ordering = ["position", "id"]
    autocomplete_fields = ["group", "device_type", "threshold", "channels"]
    fieldsets = [
        (None, {"fields": [("name", "enabled"), ("position", "continues")]}),
        ("Which alerts", {"fields": [("min_severity", "threshold"), ("group", "device_type"), "labels"]}),
        ("Who hears of them", {"fields": ["channels", ("group_seconds", "repeat_minutes"), "recovery"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        related = super().get_queryset(request).select_related("group", "device_type", "threshold")
        return related.prefetch_related("channels", "escalation__channels")

    @display(description="Matches")
    def matches(self, route: Route) -> str:
        severity = Severity(route.min_severity)
        parts = ["every severity" if severity == Severity.INFO else f"{severity.label} and worse"]
        parts += [f"group {route.group.path}"] if route.group else []
        parts += [f"type {route.device_type.name}"] if route.device_type else []
        parts += [f"threshold {route.threshold.name}"] if route.threshold else []
        parts += [f"{key}: {value}" for key, value in route.labels.items()]
        return ", ".join(parts)

    @display(description="Tells")
    def tells(self, route: Route) -> str:
        names = ", ".join(channel.name for channel in route.channels.all()) or "nobody"
        for step in route.escalation.all():
            also = ", ".join(channel.name for channel in step.channels.all())
            names += f"; after {step.after_minutes:g} min {also}"
        return names

    @display(description="Then")
    def follows(self, route: Route) -> str:
        return "the next routes too" if route.continues else "no further route"
