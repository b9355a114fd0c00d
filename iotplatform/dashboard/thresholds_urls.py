"""Routes of the pages about thresholds."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
