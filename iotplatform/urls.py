"""Every route of the site."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from alerts.api.urls import urlpatterns as alerts_api
from iotplatform.access.api.urls import urlpatterns as access_api
from iotplatform.observability import health, metrics
from telemetry.api.urls import urlpatterns as telemetry_api
from thresholds.api.urls import urlpatterns as thresholds_api

#: One list, so that they share one namespace.
_api = [*telemetry_api, *thresholds_api, *alerts_api, *access_api]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include((_api, "api"))),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
    path("", include("iotplatform.dashboard.urls")),
]
