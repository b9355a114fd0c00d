"""Quarantine: what was refused and why; replay it, corrected where needed, or discard it."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateTimeFilter
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from telemetry.admin.ages import ago
from telemetry.admin.things import SeenAdmin
from telemetry.intake.accept import Unavailable
from telemetry.models import QuarantinedReading, QuarantineDropped
from telemetry.quarantine.claims import AlreadyResolved, RefusedAgain, discard, replay_once
from telemetry.sight import sees_everything, visible_quarantine

__all__ = ["QuarantinedReadingAdmin"]

#: More at once would hold the page for too long; the rest stays selected by the filter.
MAX_REPLAYS = 500
_LIST = "admin:telemetry_quarantinedreading_changelist"


class ReasonFilter(DropdownFilter):
    title = "reason"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = QuarantinedReading.objects.order_by("code").values_list("code", flat=True).distinct()
        return [(code, code.replace("_", " ")) for code in codes]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(code=self.value()) if self.value() else queryset


class PayloadForm(forms.Form):
    """The reading, to be corrected before it is sent again."""

    payload = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "class": "font-mono", "spellcheck": "false"}),
        help_text="One reading as JSON. What is changed here is sent instead of what came.",
    )

    def clean_payload(self) -> dict[str, Any] | None:
        if not self.has_changed():
            return None
        try:
            payload = json.loads(self.cleaned_data["payload"])
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is not JSON: {error}") from error
        if not isinstance(payload, dict):
            raise forms.ValidationError('One reading is an object: {"device": …, "time": …, "metrics": {…}}.')
        return payload


@admin.register(QuarantinedReading)
class QuarantinedReadingAdmin(SeenAdmin):
    list_display = ["device_name", "reason", "what", "arrived", "state_badge"]
    list_filter = [("state", ChoicesDropdownFilter), ReasonFilter, ("received_at", RangeDateTimeFilter)]
    list_filter_submit = True
    list_per_page = 50
    list_before_template = "telemetry/quarantine_dropped.html"
    show_full_result_count = False
    search_fields = ["device", "field", "detail"]
    actions = ["replay_selected", "discard_selected"]
    actions_detail = ["replay"]
    fieldsets = [
        (None, {"fields": [("device_name", "state_badge"), ("reason", "field"), "detail", "reading"]}),
        ("How it came", {"fields": [("received_at", "key_prefix"), "request_id"]}),
        ("What became of it", {"fields": [("resolved_at", "resolved_by")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[QuarantinedReading]:
        return super().get_queryset(request).defer("raw")

    def in_sight(self, rows: QuerySet[QuarantinedReading], user: Any) -> QuerySet[QuarantinedReading]:
        return rows if sees_everything(user) else rows.filter(pk__in=visible_quarantine(user).values("pk"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        shown = ["device_name", "state_badge", "reason", "field", "detail", "reading", "received_at", "key_prefix"]
        return [*shown, "request_id", "resolved_at", "resolved_by"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        dropped = QuarantineDropped.objects.aggregate(total=Sum("dropped"))["total"] or 0
        return super().changelist_view(request, {"dropped": f"{dropped:,}" if dropped else ""} | (extra_context or {}))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        nothing_to_save = {"show_save": False, "show_save_and_continue": False, "show_save_and_add_another": False}
        return super().change_view(request, object_id, form_url, nothing_to_save | (extra_context or {}))

    @display(description="Device", ordering="device")
    def device_name(self, row: QuarantinedReading) -> str:
        return row.device or "unknown"

    @display(description="Reason", ordering="code", label=True)
    def reason(self, row: QuarantinedReading) -> str:
        return row.code.replace("_", " ")

    @display(description="What was wrong")
    def what(self, row: QuarantinedReading) -> str:
        text = row.detail or row.field
        return text if len(text) <= 100 else f"{text[:99]}…"

    @display(description="Arrived", ordering="id")
    def arrived(self, row: QuarantinedReading) -> SafeString | None:
        return ago(row.received_at, timezone.now())

    @display(description="State", ordering="state", label={"waiting": "warning", "replayed": "success"})
    def state_badge(self, row: QuarantinedReading) -> str:
        return str(row.state)

    @display(description="Reading")
    def reading(self, row: QuarantinedReading) -> SafeString:
        pre = '<pre class="font-mono max-h-96 overflow-auto text-xs whitespace-pre-wrap break-all">{}</pre>'
        return format_html(pre, _pretty(row.payload) or "Bytes of a log entry that could not be stored.")

    @admin.action(description="Replay the selected readings", permissions=["change"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[QuarantinedReading]) -> None:
        rows = list(queryset.filter(state=QuarantinedReading.State.WAITING).order_by("id")[: MAX_REPLAYS + 1])
        accepted = refused = 0
        for row in rows[:MAX_REPLAYS]:
            try:
                replay_once(row, None, request.user)
                accepted += 1
            except RefusedAgain:
                refused += 1
            except AlreadyResolved:
                continue  # somebody else was faster
            except Unavailable as error:
                messages.error(request, f"The rest waits on: {error}")
                break
        messages.success(request, f"{accepted} readings replayed.")
        if refused:
            messages.warning(request, f"{refused} were refused again: open one, correct it, and replay it.")
        if len(rows) > MAX_REPLAYS:
            messages.warning(request, f"{MAX_REPLAYS} are replayed at once; repeat for the rest.")

    @admin.action(description="Discard the selected readings", permissions=["change"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[QuarantinedReading]) -> None:
        messages.success(request, f"{discard(queryset, request.user)} readings discarded.")

    @action(description="Replay or discard", icon="replay", permissions=["change"], variant=ActionVariant.PRIMARY)
    def replay(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The page on which one reading is corrected, and sent again or given up."""
        row = self.get_object(request, object_id)
        if row is None:
            return HttpResponseRedirect(reverse(_LIST))
        form = PayloadForm(request.POST or None, initial={"payload": _pretty(row.payload)})
        if "discard" in request.POST:
            return self._discarded(request, row)
        if request.method == "POST" and form.is_valid() and self._replayed(request, row, form):
            return HttpResponseRedirect(reverse(_LIST))
        context = self.admin_site.each_context(request) | {
            "title": f"Replay: {row}",
            "opts": self.opts,
            "row": row,
            "form": form,
        }
        return TemplateResponse(request, "telemetry/replay.html", context)

    def _replayed(self, request: HttpRequest, row: QuarantinedReading, form: PayloadForm) -> bool:
        try:
            outcome = replay_once(row, form.cleaned_data["payload"], request.user)
        except AlreadyResolved as error:
            messages.error(request, str(error))
            return True
        except RefusedAgain as error:
            for refused in error.errors:
                form.add_error("payload", ": ".join(filter(None, (refused["field"], refused["detail"]))))
            return False
        except Unavailable as error:
            form.add_error(None, f"Nothing was replayed, try again shortly: {error}")
            return False
        self.log_change(request, row, "Replayed.")
        messages.success(request, f"Accepted: {outcome['accepted']} values. They will be stored within seconds.")
        return True

    def _discarded(self, request: HttpRequest, row: QuarantinedReading) -> HttpResponse:
        if discard(QuarantinedReading.objects.filter(pk=row.pk), request.user):
            self.log_change(request, row, "Discarded.")
            messages.success(request, "Discarded.")
        else:
            messages.error(request, "It was replayed or discarded already.")
        return HttpResponseRedirect(reverse(_LIST))


def _pretty(payload: str) -> str:
    """JSON with line breaks; what is not JSON as it is."""
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return payload
