"""Channels in the admin: a kind is chosen first, then its form; a button sends a test."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter
from unfold.decorators import action, display

from alerts.admin.audited import AuditedAdmin
from alerts.admin.channel_form import PREFIX, ChannelForm, channel_form
from alerts.channel_settings import address
from alerts.channels import KINDS
from alerts.deliver import send_test
from alerts.models import Channel
from telemetry.admin.ages import ago

__all__ = ["ChannelAdmin"]

STATE_COLOURS = {"works": "success", "failing": "danger", "switched off": "warning"}


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin):
    kind = "channel"
    form = ChannelForm
    list_display = ["name", "kind_label", "leads_to", "state", "used_by"]
    list_filter = [("enabled", BooleanRadioFilter)]
    search_fields = ["name"]
    ordering = ["name"]
    actions_submit_line = ["save_and_test"]
    readonly_fields = ["kind_label", "leads_to", "state", "trouble", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        return super().get_queryset(request).prefetch_related("routes")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if self._kind_of(request, None) is None and self.has_add_permission(request):
            context = self.admin_site.each_context(request) | {
                "title": "Add a channel",
                "opts": self.opts,
                "kinds": list(KINDS.values()),
            }
            return TemplateResponse(request, "alerts/choose_kind.html", context)
        return super().add_view(request, form_url, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kind = self._kind_of(request, obj)
        if kind is not None:
            kwargs["form"] = channel_form(kind)
        return super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = self._kind_of(request, obj)
        settings = [PREFIX + field.name for field in KINDS[kind].fields] if kind else []
        own: list[Any] = [("name", "enabled")]
        if obj is not None:
            own += [("kind_label", "leads_to"), ("state", "trouble")]
        return [(None, {"fields": own}), (KINDS[kind].label if kind else "Settings", {"fields": settings})]

    def _kind_of(self, request: HttpRequest, obj: Channel | None) -> str | None:
        kind = obj.kind if obj is not None else request.GET.get("kind", "")
        return kind if kind in KINDS else None

    def audit_note(self, form: Any) -> dict[str, Any]:
        return {"new_secrets": form.changed_secrets} if form.changed_secrets else {}

    @action(description="Save and send a test", permissions=["change"])
    def save_and_test(self, request: HttpRequest, obj: Channel) -> None:
        """Once it is saved: no transaction is open while the receiver is waited for."""
        transaction.on_commit(lambda: self._test(request, obj))

    def _test(self, request: HttpRequest, channel: Channel) -> None:
        outcome = send_test(Channel.objects.get(pk=channel.pk), request.user.get_username())
        if outcome.ok:
            messages.success(request, f"The test was sent: {outcome.detail}.")
        else:
            messages.error(request, f"The test failed: {outcome.detail}")

    @display(description="Kind", ordering="kind")
    def kind_label(self, channel: Channel) -> str:
        return KINDS[channel.kind].label if channel.kind in KINDS else channel.kind

    @display(description="Leads to")
    def leads_to(self, channel: Channel) -> str:
        return address(channel)

    @display(description="State", label=STATE_COLOURS)
    def state(self, channel: Channel) -> str:
        if not channel.enabled:
            return "switched off"
        return "works" if channel.failing_since is None else "failing"

    @display(description="Trouble")
    def trouble(self, channel: Channel) -> SafeString | str:
        if channel.failing_since is None:
            return "none"
        return format_html("since {}: {}", ago(channel.failing_since, timezone.now()) or "", channel.last_error)

    @display(description="Used by")
    def used_by(self, channel: Channel) -> str:
        names = [route.name for route in channel.routes.all()]
        return ", ".join(names) if names else "no route"
