"""Thresholds: list, make, look at, change, delete.

Every answer about one threshold carries an ETag. A change or deletion with `If-Match` is refused (412) where somebody
changed the threshold after that version; without it the last one wins, field by field for PATCH.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api.errors import PreconditionFailed
from telemetry.api.lookups import find_numbered, viewer
from telemetry.scopes import MANAGE_THRESHOLDS, looked_at_or
from telemetry.sight import of_visible_scopes, within_sight_of
from thresholds import edit
from thresholds.api.filters import FILTERS, filtered
from thresholds.api.serializers import Page, ThresholdSerializer
from thresholds.document import document
from thresholds.models import Threshold

__all__ = ["ThresholdDetail", "ThresholdList", "etag"]

_IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="ETag of the version that is changed; 412 if it is not the newest.",
)


class ThresholdQueries(GenericAPIView):
    """What both views share."""

    queryset = Threshold.objects.all()
    serializer_class = ThresholdSerializer
    required_scopes = looked_at_or(MANAGE_THRESHOLDS)
    cursor_field = "id"

    def get_queryset(self) -> QuerySet[Threshold]:
        return of_visible_scopes(edit.thresholds(), viewer(self))

    def shown(self, thresholds: Iterable[Threshold]) -> list[dict[str, Any]]:
        """Their REST form."""
        rows = list(thresholds)
        context = {**self.get_serializer_context(), "page": Page(rows)}
        return list(ThresholdSerializer(rows, many=True, context=context).data)

    def answer(self, threshold: Threshold, status: int = 200) -> Response:
        (body,) = self.shown([threshold])
        return Response(body, status, headers={"ETag": etag(threshold)})


class ThresholdList(ThresholdQueries):
    @extend_schema(parameters=FILTERS, responses=ThresholdSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List thresholds, oldest first."""
        page = self.paginate_queryset(filtered(self.get_queryset(), request))
        return self.get_paginated_response(self.shown(page or []))

    @extend_schema(responses={201: ThresholdSerializer})
    def post(self, request: Request) -> Response:
        """Make a threshold. It is in force with the next readings that are stored."""
        with transaction.atomic():
            edit.hold_edits()
            serializer = self.get_serializer(data=request.data)
            serializer.is_valid(raise_exception=True)
            made = edit.create(serializer.validated_data, request.user)
        return self.answer(made, 201)


class ThresholdDetail(ThresholdQueries):
    """One threshold, by its id."""

    def get(self, request: Request, id: int) -> Response:
        """Look at a threshold."""
        return self.answer(find_numbered(self.get_queryset(), "threshold", id))

    @extend_schema(parameters=[_IF_MATCH])
    def put(self, request: Request, id: int) -> Response:
        """Replace a threshold; what is left out gets its default."""
        return self._change(request, id, merge=False)

    @extend_schema(parameters=[_IF_MATCH])
    def patch(self, request: Request, id: int) -> Response:
        """Change some fields of a threshold. `levels` replaces the whole table."""
        return self._change(request, id, merge=True)

    @extend_schema(parameters=[_IF_MATCH], responses={204: None})
    def delete(self, request: Request, id: int) -> Response:
        """Delete a threshold. Its open alerts are closed; all of its alerts stay on record."""
        with transaction.atomic():
            stored = self._stored(request, id)
            edit.delete([stored.pk], request.user)
        return Response(status=204)

    def _change(self, request: Request, number: int, *, merge: bool) -> Response:
        with transaction.atomic():
            stored = self._stored(request, number)
            data = request.data
            if merge and isinstance(data, Mapping):
                data = document(stored) | dict(data)
            serializer = self.get_serializer(stored, data=data)
            serializer.is_valid(raise_exception=True)
            made = edit.change(stored.pk, serializer.validated_data, request.user)
        return self.answer(made)

    def _stored(self, request: Request, number: int) -> Threshold:
        """The threshold as it stands, which nobody else changes until the transaction ends."""
        edit.hold_edits()
        stored: Threshold = find_numbered(self.get_queryset(), "threshold", number)
        if not within_sight_of(stored, request.user):
            raise PermissionDenied(
                "This threshold is about devices beyond those that you see: you may look at it only."
            )
        wanted = request.headers.get("If-Match")
        if wanted is not None and wanted.strip() not in ("*", etag(stored)):
            raise PreconditionFailed
        return stored


def etag(threshold: Threshold) -> str:
    """Of this version of it."""
    return f'"{threshold.updated_at.timestamp():.6f}"'
