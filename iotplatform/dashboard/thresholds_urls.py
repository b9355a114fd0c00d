"""Routes of the pages about thresholds."""

from __future__ import annotations

from django.urls import URLPattern, path

from iotplatform.dashboard import thresholds_views

urlpatterns: list[URLPattern] = [
    path("thresholds/", thresholds_views.thresholds, name="thresholds"),
    path("thresholds/new", thresholds_views.threshold_new, name="threshold-new"),
    path("thresholds/<int:id>/", thresholds_views.threshold, name="threshold"),
]
