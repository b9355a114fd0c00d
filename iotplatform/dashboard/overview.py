"""Is anything wrong, what, since when, who has it?"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.models import Alert
from iotplatform.dashboard.alerts_rows import row_of, sparks_of
from iotplatform.dashboard.fleet import fleet_bar, fleet_counts
from iotplatform.dashboard.page import answer, page
from iotplatform.dashboard.shell import open_alerts
from iotplatform.dashboard.vitals import Vitals, refused_by_reason, vitals
from telemetry.device_state import DeviceState
from telemetry.sight import sees_everything, visible_devices

__all__ = ["overview"]

_SHOWN_ALERTS = 10
_SHOWN_REASONS = 6


@require_safe
@page("telemetry.view_device")
def overview(request: HttpRequest) -> HttpResponse:
    user = request.user
    counts, fleet, platform = open_alerts(user), fleet_counts(user), vitals()
    context = {
        "now": timezone.now(),
        "open_by_severity": counts,
        "open_total": sum(counts.values()),
        "fleet": fleet,
        "fleet_bar": fleet_bar(fleet),
        "vitals": platform,
        "quiet": not counts and _well(fleet, platform),
        "may_change": user.has_perm("alerts.change_alert"),
        "may_see_alerts": user.has_perm("alerts.view_alert"),
    }
    if context["may_see_alerts"]:
        context |= _alerts(user)
    if user.has_perm("telemetry.view_quarantinedreading"):
        context |= _refused(user)
    return answer(request, "dashboard/overview/page.html", context, part="dashboard/overview/part.html")


def _well(fleet: dict[str, int], platform: Vitals) -> bool:
    troubled = fleet[DeviceState.LATE] + fleet[DeviceState.SILENT]
    return not troubled and not platform.log_late and not platform.rollups_late


def _alerts(user: Any) -> dict[str, Any]:
    """The worst live ones: what is open before what somebody has, in each severity the newest first."""
    live = Alert.objects.filter(state__in=Alert.LIVE)
    if not sees_everything(user):
        live = live.filter(device_id__in=visible_devices(user).values("pk"))
    chosen = live.select_related("assignee", "acknowledged_by").order_by("-severity", "-opened_at", "-id")
    alerts = sorted(chosen[:_SHOWN_ALERTS], key=lambda alert: (-alert.severity, alert.state != Alert.State.OPEN))
    sparks = sparks_of(alerts, timezone.now())
    rows = [(row_of(alert, user), sparks.get(alert.pk, "")) for alert in alerts]
    return {"alert_rows": rows, "more_alerts": len(rows) == _SHOWN_ALERTS}


def _refused(user: Any) -> dict[str, Any]:
    refused = refused_by_reason(user)
    worst = max((count for _, count in refused.by_reason), default=1)
    reasons = [(code, count, max(2, round(100 * count / worst))) for code, count in refused.by_reason[:_SHOWN_REASONS]]
    return {"refused_total": refused.total, "refused_reasons": reasons}
