"""Devices: what they are, whether they speak, and their keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db import models
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter, RelatedDropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from telemetry.admin.ages import ago
from telemetry.admin.things import AuditedThingsAdmin, seen_group_paths
from telemetry.audit_things import changed_all
from telemetry.deletion import delete_device
from telemetry.device_state import DeviceState, in_state, state_of, with_expected_interval
from telemetry.models import Device, DeviceKey, Series
from telemetry.query.latest import latest
from telemetry.sight import of_visible_devices

__all__ = ["STATE_COLOURS", "DeviceAdmin"]

STATE_COLOURS = {"online": "success", "late": "warning", "silent": "danger", "never seen": "info"}


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(DeviceState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> QuerySet[Device]:
        value = self.value()
        return in_state(queryset, value, timezone.now()) if value in DeviceState.values else queryset


class GroupFilter(DropdownFilter):
    """A group with everything below it."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return seen_group_paths(request)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> QuerySet[Device]:
        path = self.value()
        return queryset.filter(Q(group__path=path) | Q(group__path__startswith=f"{path}/")) if path else queryset


class SeriesInline(TabularInline):
    """What the device sent last. Series come with the first reading of a metric, never by hand."""

    model = Series
    fields = readonly_fields = ["metric", "newest", "measured", "created_at"]
    ordering = ["metric"]
    verbose_name_plural = "Latest values"
    extra = 0
    per_page = 20
    tab = True
    hide_title = True
    can_delete = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Series]:
        return super().get_queryset(request).select_related("device__type")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Newest value")
    def newest(self, series: Series) -> str | None:
        newest = _latest_of(series)
        if newest is None:
            return None
        if isinstance(newest.value, bool):
            return "on" if newest.value else "off"
        return f"{newest.value:,.6g} {_unit_of(series)}".strip()

    @display(description="Measured")
    def measured(self, series: Series) -> SafeString | None:
        newest = _latest_of(series)
        return None if newest is None else ago(newest.time, timezone.now())


class KeyInline(TabularInline):
    model = DeviceKey
    fields = readonly_fields = ["link", "name", "state", "used", "backfill"]
    verbose_name_plural = "Keys"
    extra = 0
    tab = True
    hide_title = True
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Key")
    def link(self, key: DeviceKey) -> SafeString:
        return format_html(
            '<a class="underline" href="{}">{}</a>', reverse("admin:telemetry_devicekey_change", args=[key.pk]), key
        )

    @display(description="State")
    def state(self, key: DeviceKey) -> str:
        return key.state(timezone.now())

    @display(description="Last used")
    def used(self, key: DeviceKey) -> SafeString | None:
        return ago(key.last_used_at, timezone.now())


@admin.register(Device)
class DeviceAdmin(AuditedThingsAdmin):
    list_display = ["name", "state", "type", "group", "seen", "location", "enabled"]
    list_filter = [StateFilter, ("type", RelatedDropdownFilter), GroupFilter, ("enabled", BooleanRadioFilter)]
    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["name", "location", "description"]
    search_help_text = "Name, location or description"
    ordering = ["name"]
    autocomplete_fields = ["type", "group", "parent"]
    readonly_fields = ["state", "seen", "created_at"]
    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextareaWidget(attrs={"rows": 3})}}
    inlines = [SeriesInline, KeyInline]
    actions = ["enable", "disable"]
    actions_detail = ["hand_out_key"]
    fieldsets = [
        (None, {"fields": [("name", "enabled"), ("state", "seen"), ("type", "group"), "description"]}),
        ("Where it is", {"fields": ["location", ("latitude", "longitude")]}),
        ("More", {"classes": ["collapse"], "fields": ["parent", "labels", "created_at"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["name", ("type", "group"), "description"]}),
        ("Where it is", {"fields": ["location", ("latitude", "longitude")]}),
        ("More", {"classes": ["collapse"], "fields": ["parent", "labels"]}),
    ]

    #: Titles, and what apps above have to say of a device there; None: nothing. They add themselves.
    sections: ClassVar[list[tuple[str, Callable[[Device], SafeString | None]]]] = []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Device]:
        return with_expected_interval(super().get_queryset(request).select_related("type", "group", "last_seen"))

    def in_sight(self, rows: QuerySet[Device], user: Any) -> QuerySet[Device]:
        return of_visible_devices(rows, user, "pk")

    def get_fieldsets(self, request: HttpRequest, obj: Device | None = None) -> Any:
        if obj is None:
            return super().get_fieldsets(request, obj)
        told = ((title, section(obj)) for title, section in self.sections)
        more = [(title, {"fields": [], "description": text}) for title, text in told if text is not None]
        return [*super().get_fieldsets(request, obj), *more]

    @display(description="State", label=STATE_COLOURS)
    def state(self, device: Any) -> str:
        seen = getattr(device, "last_seen", None)
        interval = getattr(device, "expected_interval", None)
        return str(state_of(device.enabled, seen and seen.at, interval, timezone.now()).label)

    @display(description="Last seen", ordering="last_seen__at")
    def seen(self, device: Device) -> SafeString | None:
        seen = getattr(device, "last_seen", None)
        return None if seen is None else ago(seen.at, timezone.now())

    @admin.action(description="Enable the selected devices", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Disable the selected devices", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Device], *, enabled: bool) -> None:
        chosen = Device.objects.filter(pk__in=queryset.order_by().values("pk")).exclude(enabled=enabled)
        count = changed_all(chosen, request.user, {"enabled": enabled})
        effect = "send readings" if enabled else "be refused (device_disabled)"
        messages.success(request, f"{count} devices changed. They will {effect} within seconds.")

    @action(
        description="Hand out a key",
        url_path="hand-out-key",
        icon="key",
        # By method, not by name: the kit looks names up in the database, which on first migrate has no tables yet.
        permissions=["hand_out_key"],
        variant=ActionVariant.PRIMARY,
    )
    def hand_out_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:telemetry_devicekey_add", query={"device": object_id}))

    def has_hand_out_key_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return request.user.has_perm("telemetry.add_devicekey")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Keys and series go with their device: that takes no permission of its own."""
        deletable, counts, _, protected = super().get_deleted_objects(objs, request)
        return deletable, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Device) -> None:
        delete_device(obj, request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Device]) -> None:
        for device in queryset:
            delete_device(device, request.user)


def _latest_of(series: Any) -> Any:
    """Asked once for all series of the page: they share their device object."""
    device = series.device
    if not hasattr(device, "newest_values"):
        device.newest_values = {newest.metric: newest for newest in latest(device.pk)}
    return device.newest_values.get(series.metric)


def _unit_of(series: Any) -> str:
    device = series.device
    if not hasattr(device, "units"):
        device.units = dict(device.type.metrics.values_list("name", "unit")) if device.type else {}
    return str(device.units.get(series.metric, ""))
