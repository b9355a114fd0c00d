"""Saved queries, the exports made of them, and their history. Each person's own; with the right to it those of all."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView, ListAPIView, ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.errors import Conflict
from telemetry.api.exports_file import file_of
from telemetry.api.exports_serializers import (
    ExportRunSerializer,
    PeriodSerializer,
    SavedQuerySerializer,
    ScheduledExportSerializer,
)
from telemetry.api.lookups import find_numbered, viewer
from telemetry.api.permissions import ChangePermission
from telemetry.exports import edit
from telemetry.exports.rights import sees_devices_of, visible_exports, visible_queries
from telemetry.models import ExportRun, SavedQuery, ScheduledExport
from telemetry.scopes import ADMIN, READ_READINGS, READ_STATS, scopes_of

__all__ = [
    "ExportDetail",
    "ExportList",
    "ExportRunDetail",
    "ExportRunFile",
    "ExportRunList",
    "ExportRunNow",
    "SavedQueryDetail",
    "SavedQueryList",
]

#: Which rows they open follows from what the rows ask for (`telemetry.exports.rights`).
_SCOPES = (READ_STATS, READ_READINGS, ADMIN)


class _Mine(GenericAPIView):
    """Things of the person who asks, and their changes."""

    required_scopes = _SCOPES
    kind = ""

    def scopes(self) -> Any:
        return scopes_of(getattr(getattr(self, "request", None), "auth", None))

    def get_object(self) -> Any:
        found = find_numbered(self.get_queryset(), self.kind, self.kwargs["id"])
        self.check_object_permissions(self.request, found)
        return found

    def perform_create(self, serializer: Any) -> None:
        made = serializer.Meta.model(**serializer.validated_data)
        if isinstance(made, SavedQuery):
            made.owner_id = self.request.user.pk
        edit.create(made, self.request.user)
        serializer.instance = self.get_queryset().filter(pk=made.pk).first() or made

    def perform_update(self, serializer: Any) -> None:
        edit.change(serializer.instance, self.request.user, serializer.validated_data)

    def perform_destroy(self, instance: Any) -> None:
        edit.delete(instance, self.request.user)


class _Queries(_Mine):
    kind = "saved query"
    queryset = SavedQuery.objects.all()
    serializer_class = SavedQuerySerializer

    def get_queryset(self) -> QuerySet[SavedQuery]:
        return visible_queries(viewer(self), self.scopes()).select_related("owner")


class SavedQueryList(_Queries, ListCreateAPIView):
    """Saved queries, by id."""

    cursor_field = "id"


class SavedQueryDetail(_Queries, RetrieveUpdateDestroyAPIView):
    """One saved query. Deleted, its exports go with it."""


class _Exports(_Mine):
    kind = "export"
    queryset = ScheduledExport.objects.all()
    serializer_class: Any = ScheduledExportSerializer

    def get_queryset(self) -> QuerySet[ScheduledExport]:
        return visible_exports(viewer(self), self.scopes())


class ExportList(_Exports, ListCreateAPIView):
    """Exports, by id."""

    cursor_field = "id"


class ExportDetail(_Exports, RetrieveUpdateDestroyAPIView):
    """One export. Deleted, its history and its files in the folder go with it; objects in a store stay."""


class ExportRunNow(_Exports):
    """POST /api/v1/exports/{id}/run."""

    permission_classes = [ChangePermission]

    @extend_schema(operation_id="exports_run", request=PeriodSerializer, responses={202: ExportRunSerializer})
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a file now: of the period that the schedule would be about, or of any other."""
        export = self.get_object()
        asked = PeriodSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        period = (said["period_start"], said["period_end"]) if said else None
        try:
            run = edit.run_now(export, request.user, period)
        except edit.TooManyRuns as error:
            raise Conflict(f"{edit.MOST_WAITING} runs of this export wait already: let them be made first.") from error
        return Response(ExportRunSerializer(run).data, status.HTTP_202_ACCEPTED)


class _Runs(_Exports):
    serializer_class: Any = ExportRunSerializer

    def runs(self) -> QuerySet[ExportRun]:
        export = find_numbered(visible_exports(viewer(self), self.scopes()), "export", self.kwargs["id"])
        return ExportRun.objects.filter(export=export).select_related("requested_by").defer("devices")

    def run(self) -> ExportRun:
        run: ExportRun = find_numbered(self.runs(), "run", self.kwargs["run"])
        return run


class ExportRunList(_Runs, ListAPIView):
    """The history of an export, newest first."""

    cursor_field = "-id"

    @extend_schema(parameters=[OpenApiParameter("state", str, enum=ExportRun.State.values)])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    def filter_queryset(self, queryset: Any) -> Any:
        """From the exports, whose permissions count, to the runs of the one that is named."""
        state = parameters.choice(self.request, "state", ExportRun.State.values)
        return self.runs().filter(state=state) if state else self.runs()


class ExportRunDetail(_Runs):
    """GET /api/v1/exports/{id}/runs/{run}."""

    @extend_schema(operation_id="exports_runs_retrieve", responses=ExportRunSerializer)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """One run."""
        return Response(ExportRunSerializer(self.run()).data)


class ExportRunFile(_Runs):
    """GET /api/v1/exports/{id}/runs/{run}/file."""

    @extend_schema(
        operation_id="exports_runs_file",
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/vnd.apache.parquet"): OpenApiTypes.BINARY,
            302: OpenApiResponse(description="It lies in a store: `Location` is good for some minutes."),
        },
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Its file, for whoever sees every device in it."""
        run = self.run()
        if not sees_devices_of(run, request.user):
            raise NotFound(f"There is no run {run.pk}.")
        return file_of(run)
