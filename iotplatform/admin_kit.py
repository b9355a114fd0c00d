"""How the admin looks: its name, its colours and what stands in its sidebar (settings of django-unfold)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

__all__ = ["UNFOLD"]


def _may_view(permission: str) -> Callable[[HttpRequest], bool]:
    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return allowed


def _page(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": _may_view(f"{app}.view_{model}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "IoT telemetry",
    "SITE_HEADER": "IoT telemetry",
    "SITE_SUBHEADER": "Devices and their readings",
    "SITE_SYMBOL": "sensors",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("iotplatform/favicon.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_BACK_BUTTON": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    # One accent, a calm teal: amber, orange and red are kept for severity.
    "COLORS": {
        "primary": {
            "50": "oklch(98.4% .014 180.72)",
            "100": "oklch(95.3% .051 180.801)",
            "200": "oklch(91% .096 180.426)",
            "300": "oklch(85.5% .138 181.071)",
            "400": "oklch(77.7% .152 181.912)",
            "500": "oklch(70.4% .14 182.503)",
            "600": "oklch(54% .096 184.704)",
            "700": "oklch(47% .085 186.391)",
            "800": "oklch(43.7% .078 188.216)",
            "900": "oklch(38.6% .063 188.416)",
            "950": "oklch(27.7% .046 192.524)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "title": "Fleet",
                "items": [
                    _page("Devices", "memory", "telemetry", "device"),
                    _page("Groups", "account_tree", "telemetry", "devicegroup"),
                    _page("Device types", "category", "telemetry", "devicetype"),
                    _page("Keys", "key", "telemetry", "devicekey"),
                ],
            },
            {
                "title": "Data",
                "items": [
                    _page("Series", "timeline", "telemetry", "series"),
                    _page("Quarantine", "report", "telemetry", "quarantinedreading"),
                    _page("Exports", "file_save", "telemetry", "scheduledexport"),
                    _page("Runs of exports", "playlist_play", "telemetry", "exportrun"),
                ],
            },
            {
                "title": "Alerting",
                "items": [
                    _page("Alerts", "notifications", "alerts", "alert") | {"badge": "alerts.admin.inbox.open_count"},
                    _page("Thresholds", "rule", "thresholds", "threshold"),
                    _page("Silences", "notifications_off", "alerts", "silence"),
                    _page("Routes", "alt_route", "alerts", "route"),
                    _page("Channels", "campaign", "alerts", "channel"),
                    _page("Messages", "outbox", "alerts", "message"),
                ],
            },
            {
                "title": "Access",
                "collapsible": True,
                "items": [
                    _page("Users", "person", "auth", "user"),
                    _page("Roles", "group", "auth", "group"),
                    _page("Audit", "history", "telemetry", "auditentry"),
                ],
            },
            {
                "title": "For programs",
                "items": [{"title": "API", "icon": "api", "link": reverse_lazy("api:docs")}],
            },
        ],
    },
}
