"""Series: made by the first reading of a metric, never by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from telemetry.admin.things import SeenAdmin
from telemetry.models import Series
from telemetry.sight import of_visible_devices

__all__ = ["SeriesAdmin"]


@admin.register(Series)
class SeriesAdmin(SeenAdmin):
    list_display = ["metric", "device", "kind", "created_at"]
    list_select_related = ["device"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["metric", "device__name"]
    ordering = ["id"]

    def in_sight(self, rows: QuerySet[Series], user: Any) -> QuerySet[Series]:
        return of_visible_devices(rows, user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="Values")
    def kind(self, series: Series) -> str:
        return "on or off" if series.boolean else "numbers"
