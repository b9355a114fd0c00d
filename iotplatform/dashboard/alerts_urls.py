"""Routes of the pages about alerts."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
