"""Every page of the dashboard."""

from __future__ import annotations

from django.urls import path

from iotplatform.dashboard import (
    alerts_urls,
    device,
    devices,
    explore,
    exports_urls,
    login,
    overview,
    shell,
    thresholds_urls,
)

app_name = "dashboard"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("devices/", devices.devices, name="devices"),
    path("devices/new", devices.new_device, name="new-device"),
    path("devices/<str:name>/", device.device, name="device"),
    path("devices/<str:name>/alerts.json", device.alerts_between, name="device-alerts"),
    path("explore/", explore.explore, name="explore"),
    path("explore/metrics.json", explore.metrics, name="explore-metrics"),
    path("login/", login.Login.as_view(), name="login"),
    path("logout/", login.Logout.as_view(), name="logout"),
    path("live/nav", shell.nav, name="nav"),
    *alerts_urls.urlpatterns,
    *thresholds_urls.urlpatterns,
    *exports_urls.urlpatterns,
]
