"""The web dashboard."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "iotplatform.dashboard"
    label = "dashboard"
