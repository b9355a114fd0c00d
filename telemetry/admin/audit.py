"""Who changed what, to look at: nothing of it can be changed by hand."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import (
    AllValuesCheckboxFilter,
    ChoicesDropdownFilter,
    RangeDateTimeFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from telemetry.admin.ages import ago
from telemetry.audit_changes import Change, changes
from telemetry.models import AuditEntry

__all__ = ["AuditEntryAdmin", "change_table"]

ACTION_COLOURS = {"created": "success", "changed": "info", "deleted": "danger"}
ACTION_COLOURS |= {"denied": "warning", "login failed": "warning", "locked out": "danger", "reused": "danger"}
_SHOWN_IN_LIST = 3
_ORIGIN = ["address", "via", "before_text", "after_text"]


@admin.register(AuditEntry)
class AuditEntryAdmin(ModelAdmin):
    list_display = ["when", "who_name", "what_happened", "kind", "object_name", "summary"]
    list_display_links = ["when", "object_name"]
    list_filter = [
        ("kind", AllValuesCheckboxFilter),
        ("action", ChoicesDropdownFilter),
        ("who", RelatedDropdownFilter),
        ("at", RangeDateTimeFilter),
    ]
    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["object_name", "who_name", "address"]
    search_help_text = "Name of what it was about, of who did it, or the address"
    ordering = ["-at", "-id"]
    fieldsets = [
        (None, {"fields": [("kind", "object_name"), ("what_happened", "who_name"), "at", "differences"]}),
        ("Where it came from", {"fields": [("address", "via")]}),
        ("As the API shows it", {"classes": ["collapse"], "fields": ["before_text", "after_text"]}),
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["kind", "object_name", "what_happened", "who_name", "at", "differences", *_ORIGIN]

    @display(description="When", ordering="at")
    def when(self, entry: AuditEntry) -> SafeString | None:
        return ago(entry.at, timezone.now())

    @display(description="Action", ordering="action", label=ACTION_COLOURS)
    def what_happened(self, entry: AuditEntry) -> str:
        return str(entry.action).replace("_", " ")

    @display(description="What changed")
    def summary(self, entry: AuditEntry) -> str:
        if entry.action != AuditEntry.Action.CHANGED:
            return ""
        found = changes(entry.before, entry.after)
        shown = ", ".join(change.field for change in found[:_SHOWN_IN_LIST])
        more = len(found) - _SHOWN_IN_LIST
        return f"{shown} and {more} more" if more > 0 else shown

    @display(description="What changed")
    def differences(self, entry: AuditEntry) -> SafeString:
        return change_table(changes(entry.before, entry.after))

    @display(description="Before")
    def before_text(self, entry: AuditEntry) -> SafeString | None:
        return _json(entry.before)

    @display(description="After")
    def after_text(self, entry: AuditEntry) -> SafeString | None:
        return _json(entry.after)


def change_table(found: list[Change]) -> SafeString:
    """Field, before and after, a row each; what did not exist is a dash."""
    rows = format_html_join(
        "",
        '<tr class="border-t border-base-200 dark:border-base-800 align-top">'
        '<td class="py-1 pr-4 font-medium whitespace-nowrap">{}</td>'
        '<td class="py-1 pr-4 break-words"><del class="no-underline text-base-500">{}</del></td>'
        '<td class="py-1 break-words"><ins class="no-underline text-important">{}</ins></td></tr>',
        ((change.field, _value(change.before), _value(change.after)) for change in found),
    )
    head = '<tr><th class="pr-4 text-left">Field</th><th class="pr-4 text-left">Before</th><th class="text-left">After</th></tr>'
    return format_html(
        '<table class="text-sm w-full"><thead>{}</thead><tbody>{}</tbody></table>', SafeString(head), rows
    )


def _value(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _json(value: Any) -> SafeString | None:
    if value is None:
        return None
    pre = '<pre class="font-mono max-h-96 overflow-auto text-xs whitespace-pre-wrap break-all">{}</pre>'
    return format_html(pre, json.dumps(value, indent=2, ensure_ascii=False))
