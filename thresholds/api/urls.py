"""The routes of thresholds, below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import URLPattern, path

from thresholds.api import bundles, check, preview, thresholds

__all__ = ["urlpatterns"]

urlpatterns: list[URLPattern] = [
    path("thresholds", thresholds.ThresholdList.as_view(), name="thresholds"),
    path("thresholds/preview", preview.PreviewView.as_view(), name="threshold-preview"),
    path("thresholds/check", check.CheckView.as_view(), name="threshold-check"),
    path("thresholds/export", bundles.ExportView.as_view(), name="threshold-export"),
    path("thresholds/import", bundles.ImportView.as_view(), name="threshold-import"),
    path("thresholds/<int:id>", thresholds.ThresholdDetail.as_view(), name="threshold"),
]
