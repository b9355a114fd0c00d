"""The routes below /api/v1/. None ends in a slash."""

from __future__ import annotations

from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from telemetry.api import audit, device_types, devices, exports, groups, keys, quarantine, receipts
from telemetry.api.aggregates import AggregatesView
from telemetry.api.latest import LatestList
from telemetry.api.readings import LatestView, ReadingsView

app_name = "api"

urlpatterns = [
    # POST is taken by telemetry.gateways.http before it comes here.
    path("readings", ReadingsView.as_view(), name="readings"),
    path("aggregates", AggregatesView.as_view(), name="aggregates"),
    path("latest", LatestList.as_view(), name="latest-list"),
    path("receipts/<str:receipt>", receipts.ReceiptView.as_view(), name="receipt"),
    path("devices", devices.DeviceList.as_view(), name="devices"),
    path("devices/<str:name>", devices.DeviceDetail.as_view(), name="device"),
    path("devices/<str:name>/latest", LatestView.as_view(), name="latest"),
    path("devices/<str:name>/keys", keys.DeviceKeyList.as_view(), name="device-keys"),
    path("devices/<str:name>/keys/<int:id>", keys.DeviceKeyDetail.as_view(), name="device-key"),
    path("device-types", device_types.DeviceTypeList.as_view(), name="device-types"),
    path("device-types/<str:name>", device_types.DeviceTypeDetail.as_view(), name="device-type"),
    path("groups", groups.GroupList.as_view(), name="groups"),
    path("groups/<path:path>", groups.GroupDetail.as_view(), name="group"),
    path("keys", keys.KeyList.as_view(), name="keys"),
    path("keys/<int:id>", keys.KeyDetail.as_view(), name="key"),
    path("quarantine", quarantine.QuarantineList.as_view(), name="quarantine"),
    path("quarantine/<int:id>", quarantine.QuarantineDetail.as_view(), name="quarantined"),
    path("quarantine/<int:id>/replay", quarantine.QuarantineReplay.as_view(), name="quarantine-replay"),
    path("quarantine/<int:id>/discard", quarantine.QuarantineDiscard.as_view(), name="quarantine-discard"),
    path("saved-queries", exports.SavedQueryList.as_view(), name="saved-queries"),
    path("saved-queries/<int:id>", exports.SavedQueryDetail.as_view(), name="saved-query"),
    path("exports", exports.ExportList.as_view(), name="exports"),
    path("exports/<int:id>", exports.ExportDetail.as_view(), name="export"),
    path("exports/<int:id>/run", exports.ExportRunNow.as_view(), name="export-run-now"),
    path("exports/<int:id>/runs", exports.ExportRunList.as_view(), name="export-runs"),
    path("exports/<int:id>/runs/<int:run>", exports.ExportRunDetail.as_view(), name="export-run"),
    path("exports/<int:id>/runs/<int:run>/file", exports.ExportRunFile.as_view(), name="export-run-file"),
    path("audit", audit.AuditList.as_view(), name="audit"),
    path("audit/export", audit.AuditExport.as_view(), name="audit-export"),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", SpectacularSwaggerView.as_view(url_name="api:schema"), name="docs"),
]
