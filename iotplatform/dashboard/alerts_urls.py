"""Routes of the pages about alerts."""

from __future__ import annotations

from django.urls import URLPattern, path

from iotplatform.dashboard import alerts_silences, alerts_views

urlpatterns: list[URLPattern] = [
    path("alerts/", alerts_views.inbox, name="alerts"),
    path("alerts/sparks", alerts_views.sparks, name="alert-sparks"),
    path("alerts/silences/", alerts_silences.silences, name="silences"),
    path("alerts/<int:id>/", alerts_views.alert, name="alert"),
]
