"""The frame around every page: where one can go from here, and how many alerts are open."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from alerts.models import Alert
from iotplatform.dashboard.kept import kept
from iotplatform.dashboard.page import answer, page
from telemetry.sight import sees_everything, visible_devices
from thresholds.models import Severity

__all__ = ["Section", "frame", "navigation", "open_alerts"]

_KEPT_SECONDS = 1


class Section(NamedTuple):
    """One entry of the navigation; `key` goes there after g."""

    name: str
    title: str
    icon: str
    key: str
    permission: str

    @property
    def url(self) -> str:
        return reverse(f"dashboard:{self.name}")


SECTIONS = (
    Section("overview", "Overview", "layout-dashboard", "o", "telemetry.view_device"),
    Section("alerts", "Alerts", "bell", "a", "alerts.view_alert"),
    Section("devices", "Devices", "cpu", "d", "telemetry.view_device"),
    Section("explore", "Explore", "chart-line", "e", "telemetry.view_device"),
    Section("thresholds", "Thresholds", "ruler-measure", "t", "thresholds.view_threshold"),
    Section("exports", "Exports", "file-export", "x", "telemetry.view_device"),
)


def open_alerts(user: Any) -> dict[str, int]:
    """How many alerts that this person sees are open (not acknowledged), by severity, worst first; none that is 0."""
    if not user.has_perm("alerts.view_alert"):
        return {}
    if not sees_everything(user):
        return _counted(Alert.objects.filter(device_id__in=visible_devices(user).values("pk")))
    return kept("open-alerts", _KEPT_SECONDS, lambda: _counted(Alert.objects))


def _counted(alerts: Any) -> dict[str, int]:
    rows = alerts.filter(state=Alert.State.OPEN).order_by("-severity").values_list("severity").annotate(Count("id"))
    return {Severity(severity).label: count for severity, count in rows}


def navigation(user: Any) -> list[Section]:
    """The sections that this person may open."""
    return [section for section in SECTIONS if user.has_perm(section.permission) and _is_there(section)]


def _is_there(section: Section) -> bool:
    try:
        return bool(section.url)
    except NoReverseMatch:
        return False


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `frame` is worked out only where a template asks for it."""
    return {"frame": SimpleLazyObject(lambda: _frame(request))}


def _frame(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"sections": [], "now": timezone.now(), "at": ""}
    counts = open_alerts(user)
    match = request.resolver_match
    # The navigation is asked for by itself too, and is then told where it stands.
    asked = request.GET.get("at", "") if match is not None and match.url_name == "nav" else None
    return {
        "at": (request.path_info.strip("/").partition("/")[0] or "overview") if asked is None else asked,
        "sections": navigation(user),
        "now": timezone.now(),
        "open": sum(counts.values()),
        "worst": next(iter(counts), ""),
        "admin": user.is_staff,
    }


@page()
def nav(request: HttpRequest) -> HttpResponse:
    """The inside of the navigation, which follows the open alerts on every page."""
    return answer(request, "dashboard/nav.html")
