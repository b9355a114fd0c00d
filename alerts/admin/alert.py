"""Alerts in the admin: the inbox, and the page of one alert with why it opened and what people can do."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import BooleanRadioFilter, RangeDateTimeFilter
from unfold.decorators import display

from alerts import actions
from alerts.actions import Outcome
from alerts.admin import badges
from alerts.admin.alert_form import ActionForm
from alerts.admin.inbox import AssigneeFilter, BoundedPaginator, GroupFilter, SeverityFilter, StateFilter
from alerts.api.alerts import detailed, visible_alerts
from alerts.explain import explain
from alerts.models import Alert
from telemetry.admin.ages import ago

__all__ = ["AlertAdmin"]

#: More at once would hold the page for too long; the rest stays selected by the filter.
MAX_AT_ONCE = 5_000
_BUSY = "are busy: their readings are being stored for longer than usual. Try again."


@admin.register(Alert)
class AlertAdmin(ModelAdmin):
    list_display = ["severity_badge", "what", "device", "value_and_limit", "since", "state_badge", "assignee"]
    list_display_links = ["what"]
    list_filter = [
        StateFilter,
        SeverityFilter,
        AssigneeFilter,
        GroupFilter,
        ("flapping", BooleanRadioFilter),
        ("opened_at", RangeDateTimeFilter),
    ]
    list_filter_submit = True
    list_select_related = ["assignee", "acknowledged_by"]
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    sortable_by: list[str] = []
    search_fields = ["threshold_name", "device_name", "metric"]
    search_help_text = "Threshold, device or metric"
    actions = ["acknowledge_selected", "assign_to_me", "resolve_selected"]

    class Media:
        css = {"all": ["thresholds/thresholds.css", "alerts/alerts.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        return visible_alerts(request.user, super().get_queryset(request).defer("rule", "evidence"))

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """The worst first among the live ones, the newest first in history."""
        history = request.GET.get("state") in ("ended", "all")
        return ["-opened_at", "-id"] if history else ["-severity", "-opened_at", "-id"]

    # --- the inbox --------------------------------------------------------------------------------------------------

    @display(description="Severity")
    def severity_badge(self, alert: Alert) -> SafeString | None:
        return badges.severity_badge(alert.severity)

    @display(description="Alert")
    def what(self, alert: Alert) -> str:
        return alert.threshold_name

    @display(description="Device")
    def device(self, alert: Alert) -> SafeString:
        metric = format_html('<br><span class="alert-quiet">{}</span>', alert.metric)
        return format_html("{}{}", badges.device_link(alert), metric)

    @display(description="Value")
    def value_and_limit(self, alert: Alert) -> SafeString:
        return format_html(
            '<span class="alert-value">{}</span><br><span class="alert-quiet">{}</span>',
            badges.value_of(alert),
            badges.limit_of(alert),
        )

    @display(description="Since")
    def since(self, alert: Alert) -> SafeString | None:
        return ago(alert.opened_at, timezone.now())

    @display(description="State")
    def state_badge(self, alert: Alert) -> SafeString:
        return badges.state_badge(alert)

    @admin.action(description="Acknowledge the selected alerts", permissions=["change"])
    def acknowledge_selected(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._tell(request, actions.acknowledge(self._chosen(request, queryset), request.user), "acknowledged")

    @admin.action(description="Assign the selected alerts to me", permissions=["change"])
    def assign_to_me(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._tell(request, actions.assign(self._chosen(request, queryset), request.user, request.user), "assigned")

    @admin.action(description="Resolve the selected alerts", permissions=["change"])
    def resolve_selected(self, request: HttpRequest, queryset: QuerySet[Alert]) -> None:
        self._tell(request, actions.resolve(self._chosen(request, queryset), request.user), "resolved")

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Alert]) -> list[int]:
        chosen = list(queryset.values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(chosen) > MAX_AT_ONCE:
            messages.warning(request, f"{MAX_AT_ONCE:,} are changed at once; repeat for the rest.")
        return chosen[:MAX_AT_ONCE]

    def _tell(self, request: HttpRequest, outcome: Outcome, done: str) -> None:
        """What became of them."""
        if outcome.changed:
            number = len(outcome.changed)
            messages.success(request, f"{number:,} alert{'s' if number > 1 else ''} {done}.")
        if outcome.unchanged:
            messages.info(request, f"{len(outcome.unchanged):,} were {done} by you already.")
        if outcome.refused:
            first = next(iter(outcome.refused.values()))
            others = f" ({len(outcome.refused) - 1:,} more like it)" if len(outcome.refused) > 1 else ""
            messages.warning(request, f"Not {done}: {first}{others}")
        if outcome.busy:
            messages.error(request, f"{len(outcome.busy):,} {_BUSY}")

    # --- one alert --------------------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """Its page: nothing of it is edited, all that people do has a button of its own."""
        known = visible_alerts(request.user, detailed())
        alert = known.filter(pk=object_id).first() if object_id.isdigit() and len(object_id) < 19 else None
        if alert is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, alert):
            raise PermissionDenied
        may_change = self.has_change_permission(request, alert)
        chosen = {"assignee": alert.assignee_id}
        form = ActionForm(request.POST if request.method == "POST" else None, may_change=may_change, initial=chosen)
        if request.method == "POST":
            if not may_change:
                raise PermissionDenied
            if form.is_valid():
                return self._acted(request, alert, form)
        context = self.admin_site.each_context(request) | {
            "title": alert.threshold_name,
            "opts": self.opts,
            "alert": alert,
            "badges": {
                "severity": badges.severity_badge(alert.severity),
                "highest": badges.severity_badge(alert.highest_severity),
                "state": badges.state_badge(alert),
            },
            "device": badges.device_link(alert),
            "threshold": badges.threshold_link(alert),
            "value": badges.value_of(alert),
            "limit": badges.limit_of(alert),
            "since": ago(alert.opened_at, timezone.now()),
            "live": alert.state in Alert.LIVE,
            "explanation": explain(alert).parts,
            "timeline": [(event, badges.severity_badge(event.severity)) for event in alert.timeline.all()],
            "form": form,
            "may_change": may_change,
        }
        return TemplateResponse(request, "alerts/alert.html", context)

    def _acted(self, request: HttpRequest, alert: Alert, form: ActionForm) -> HttpResponse:
        done = form.cleaned_data["do"]
        outcome = form.act(alert.pk, request.user)
        self._tell(request, outcome, {"assign": "assigned", "comment": "commented"}.get(done, f"{done}d"))
        return HttpResponseRedirect(reverse("admin:alerts_alert_change", args=[alert.pk]))
