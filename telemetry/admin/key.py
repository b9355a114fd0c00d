"""Device keys: handed out (and shown once), watched, revoked. They are not deleted: it stays known who had what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from telemetry.admin.ages import ago
from telemetry.admin.things import AuditedThingsAdmin
from telemetry.models import DeviceKey
from telemetry.revocation import revoke as revoke_keys
from telemetry.sight import sees_everything, within_sight

__all__ = ["DeviceKeyAdmin"]


def with_state(keys: QuerySet[DeviceKey], state: str, now: datetime) -> QuerySet[DeviceKey]:
    """Those keys of which `DeviceKey.state` says this."""
    if state == "revoked":
        return keys.exclude(revoked_at=None)
    alive = keys.filter(revoked_at=None)
    if state == "expired":
        return alive.filter(expires_at__lte=now)
    return alive.filter(Q(expires_at=None) | Q(expires_at__gt=now))


class StateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in ("valid", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[DeviceKey]) -> QuerySet[DeviceKey]:
        state = self.value()
        return with_state(queryset, state, timezone.now()) if state else queryset


@admin.register(DeviceKey)
class DeviceKeyAdmin(AuditedThingsAdmin):
    list_display = ["key", "state", "scope", "name", "used", "expires", "backfill"]
    list_filter = [StateFilter, ("backfill", BooleanRadioFilter), ("all_devices", BooleanRadioFilter)]
    list_filter_submit = True
    list_select_related = ["device", "group"]
    list_per_page = 50
    search_fields = ["prefix", "name", "device__name", "group__path"]
    autocomplete_fields = ["device", "group"]
    actions = ["revoke_selected"]
    actions_submit_line = ["revoke"]
    fieldsets = [
        (None, {"fields": [("key", "state"), ("scope", "created_by"), "name"]}),
        ("Rights", {"fields": ["expires_at", ("rate_limit", "backfill")]}),
        ("Use", {"fields": [("last_used_at", "created_at"), "revoked_at"]}),
    ]
    readonly_fields = ["key", "state", "scope", "created_by", "last_used_at", "created_at", "revoked_at"]
    add_fieldsets = [
        ("Which devices may it write for? Choose one.", {"fields": [("device", "group"), "all_devices"]}),
        ("Key", {"fields": ["name", "expires_at", ("rate_limit", "backfill")]}),
    ]

    def in_sight(self, rows: QuerySet[DeviceKey], user: Any) -> QuerySet[DeviceKey]:
        return rows if sees_everything(user) else rows.filter(within_sight(user))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Who sees some groups only hands out keys for single devices of them."""
        form = super().get_form(request, obj, change, **kwargs)
        if not change and not sees_everything(request.user):
            for wide in ("group", "all_devices"):
                form.base_fields[wide].disabled = True
        return form

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [] if obj is None else self.readonly_fields

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        # Whichever button is pressed, the page that shows the key must follow.
        one_button = {"show_save_and_continue": False, "show_save_and_add_another": False}
        return super().add_view(request, form_url, one_button | (extra_context or {}))

    @display(description="Key")
    def key(self, key: DeviceKey) -> str:
        return str(key)

    @display(description="State", label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def state(self, key: DeviceKey) -> str:
        return key.state(timezone.now())

    @display(description="May write for")
    def scope(self, key: DeviceKey) -> str:
        if key.device is not None:
            return key.device.name
        return f"group {key.group.path}" if key.group is not None else "all devices"

    @display(description="Last used", ordering=F("last_used_at").desc(nulls_last=True))
    def used(self, key: DeviceKey) -> SafeString | None:
        return ago(key.last_used_at, timezone.now())

    @display(description="Expires", ordering="expires_at")
    def expires(self, key: DeviceKey) -> SafeString | None:
        return ago(key.expires_at, timezone.now())

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[DeviceKey]) -> None:
        count = revoke_keys(DeviceKey.objects.filter(pk__in=queryset.order_by().values("pk")), request.user)
        messages.success(request, f"{count} keys revoked. They stop working within seconds.")

    @action(description="Revoke", permissions=["change"], variant=ActionVariant.DANGER)
    def revoke(self, request: HttpRequest, obj: DeviceKey) -> None:
        if revoke_keys(DeviceKey.objects.filter(pk=obj.pk), request.user):
            self.log_change(request, obj, "Revoked.")
            messages.success(request, "The key is revoked. It stops working within seconds.")
        else:
            messages.info(request, "The key was revoked before.")

    def save_model(self, request: HttpRequest, obj: DeviceKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        obj.created_by = request.user  # type: ignore[assignment]
        # On the object only, for the page that follows: the key is stored nowhere.
        obj.token = obj.issue()  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key, this once."""
        context = self.admin_site.each_context(request) | {
            "title": "Hand out a key",
            "opts": self.opts,
            "key": obj,
            "scope": self.scope(obj),
            "token": obj.token,
            "curl": curl_for(obj, obj.token, request.build_absolute_uri("/").rstrip("/")),
        }
        return TemplateResponse(request, "telemetry/key_issued.html", context, headers={"Cache-Control": "no-store"})


def curl_for(key: DeviceKey, token: str, site: str) -> str:
    """A command, ready to paste, that sends one reading with the key."""
    metric = None
    if key.device is not None and key.device.type is not None:
        metric = key.device.type.metrics.exclude(kind="boolean").first()
    reading: dict[str, Any] = {} if key.device is not None else {"device": "NAME"}
    reading["metrics"] = {metric.name if metric else "temperature": _plausible(metric)}
    body = json.dumps(reading, ensure_ascii=False).replace("'", "'\\''")
    lines = [
        f"curl {site}/api/v1/readings",
        f"-H 'Authorization: Bearer {token}'",
        "-H 'Content-Type: application/json'",
        f"-d '{body}'",
    ]
    return " \\\n  ".join(lines)


def _plausible(metric: Any) -> float:
    """A value inside of the metric's physical range."""
    if metric is None or (metric.low is None and metric.high is None):
        return 21.5
    if metric.low is None or metric.high is None:
        return float(metric.low if metric.high is None else metric.high)
    return round((metric.low + metric.high) / 2, 3)
