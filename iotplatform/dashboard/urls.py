"""Every page of the dashboard."""

from __future__ import annotations

from django.urls import path

from iotplatform.dashboard import alerts_urls, login, overview, shell, thresholds_urls

app_name = "dashboard"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("login/", login.Login.as_view(), name="login"),
    path("logout/", login.Logout.as_view(), name="logout"),
    path("live/nav", shell.nav, name="nav"),
    *alerts_urls.urlpatterns,
    *thresholds_urls.urlpatterns,
]
