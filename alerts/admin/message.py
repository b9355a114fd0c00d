"""The outbox, to look at: what was sent to whom, how often it was tried, and what went wrong."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from alerts.models import ChannelAttempt, Message
from telemetry.admin.ages import ago
from telemetry.admin.things import SeenAdmin
from telemetry.sight import sees_everything

__all__ = ["MessageAdmin"]

STATE_COLOURS = {"collecting": "info", "sending": "warning", "sent": "success", "failed": "danger"}
_SHOWN_TEXT = 20_000


class AttemptInline(TabularInline):
    model = ChannelAttempt
    fields = readonly_fields = ["at", "ok", "detail"]
    verbose_name_plural = "Attempts"
    extra = 0
    per_page = 20
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("alerts.view_message")


@admin.register(Message)
class MessageAdmin(SeenAdmin):
    """One message tells of alerts of any group: it is for who sees all of them."""

    list_display = ["made", "subject", "kind", "channel", "state_badge", "alerts_named", "attempts", "error"]
    list_filter = [
        ("state", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("channel", RelatedDropdownFilter),
    ]
    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    ordering = ["-id"]
    inlines = [AttemptInline]
    fieldsets: Any = [
        (None, {"fields": [("channel", "route"), ("kind", "step"), ("state_badge", "attempts"), "error"]}),
        ("When", {"fields": [("created_at", "frozen_at"), ("due_at", "sent_at"), "give_up_at"]}),
        ("What", {"fields": ["key", "text"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        related = super().get_queryset(request).select_related("channel", "route")
        # A storm's content is megabytes: lists get by with its first line.
        return related.defer("content").annotate(named=Count("items"), headline=KT("content__subject"))

    def in_sight(self, rows: QuerySet[Message], user: Any) -> QuerySet[Message]:
        return rows if sees_everything(user) else rows.none()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for _, section in self.fieldsets for row in section["fields"] for name in _names(row)]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Made", ordering="id")
    def made(self, message: Message) -> SafeString | None:
        return ago(message.created_at, timezone.now())

    @display(description="Subject")
    def subject(self, message: Any) -> str:
        return message.headline or "collecting"

    @display(description="State", ordering="state", label=STATE_COLOURS)
    def state_badge(self, message: Message) -> str:
        return str(message.state)

    @display(description="Alerts")
    def alerts_named(self, message: Any) -> int:
        return int(message.named)

    @display(description="Text")
    def text(self, message: Message) -> SafeString:
        text = str((message.content or {}).get("text", ""))
        shown = text[:_SHOWN_TEXT] + ("\n…" if len(text) > _SHOWN_TEXT else "")
        pre = '<pre class="font-mono max-h-96 overflow-auto text-xs whitespace-pre-wrap">{}</pre>'
        return format_html(pre, shown or "It is still collecting.")


def _names(row: str | tuple[str, ...]) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else row
