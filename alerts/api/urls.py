"""The routes of alerts and of who hears of them, below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import URLPattern

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = []
