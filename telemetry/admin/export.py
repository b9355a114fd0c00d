"""Saved queries, exports and their runs, to look at. They are changed on the pages of the dashboard."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.decorators import display

from telemetry.admin.ages import ago
from telemetry.exports.rights import visible_exports, visible_queries
from telemetry.exports.wording import sentence
from telemetry.models import ExportRun, SavedQuery, ScheduledExport

__all__ = ["ExportRunAdmin", "SavedQueryAdmin", "ScheduledExportAdmin"]


class _LookedAt(ModelAdmin):
    """Only what this person sees of it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SavedQuery)
class SavedQueryAdmin(_LookedAt):
    list_display = ("name", "owner", "route", "query")
    search_fields = ("name", "query")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SavedQuery]:
        return visible_queries(request.user).select_related("owner")


@admin.register(ScheduledExport)
class ScheduledExportAdmin(_LookedAt):
    list_display = ("name", "meaning", "enabled", "next_at")
    list_filter = ("enabled", "every", "format", "destination")
    search_fields = ("name", "query__query")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ScheduledExport]:
        return visible_exports(request.user).select_related("query__owner")

    @display(description="what it does")
    def meaning(self, export: ScheduledExport) -> str:
        return sentence(export)


@admin.register(ExportRun)
class ExportRunAdmin(_LookedAt):
    list_display = ("export", "period_start", "period_end", "state", "attempts", "rows", "error", "finished")
    list_filter = ("state", "scheduled", "format", "destination")
    search_fields = ("export__name", "error", "location")
    exclude = ("devices", "claim")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportRun]:
        runs = ExportRun.objects.filter(export__in=visible_exports(request.user).order_by().values("pk"))
        return runs.select_related("export").defer("devices")

    @display(description="ended", ordering="finished_at")
    def finished(self, run: ExportRun) -> Any:
        return ago(run.finished_at, timezone.now())
