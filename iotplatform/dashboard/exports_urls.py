"""Routes of the pages about exports."""

from __future__ import annotations

from django.urls import URLPattern, path

from iotplatform.dashboard import exports, exports_edit

urlpatterns: list[URLPattern] = [
    path("exports/", exports.exports, name="exports"),
    path("exports/new", exports_edit.export_new, name="export-new"),
    path("exports/<int:id>/", exports.export, name="export"),
    path("exports/<int:id>/edit", exports_edit.export_edit, name="export-edit"),
    path("exports/<int:id>/run", exports_edit.export_run, name="export-run-now"),
    path("exports/<int:id>/delete", exports_edit.export_delete, name="export-delete"),
    path("exports/queries/<int:id>/delete", exports_edit.query_delete, name="saved-query-delete"),
    path("exports/runs/<int:id>/file", exports.export_file, name="export-file"),
]
