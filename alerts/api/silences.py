"""Silences and recurring maintenance windows."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import SAFE_METHODS

from alerts.api.audited import AuditedDetail, AuditedList
from alerts.api.silence_serializers import SilenceSerializer
from alerts.models import Silence
from telemetry.api.lookups import viewer
from telemetry.scopes import MANAGE_THRESHOLDS, looked_at_or
from telemetry.sight import of_visible_scopes, within_sight_of

__all__ = ["SilenceDetail", "SilenceList"]


class _Silences(GenericAPIView):
    """What both views share."""

    kind = "silence"
    queryset = Silence.objects.all()
    serializer_class = SilenceSerializer
    required_scopes = looked_at_or(MANAGE_THRESHOLDS)

    def get_queryset(self) -> QuerySet[Silence]:
        related = Silence.objects.select_related("device", "group", "device_type", "threshold", "author")
        return of_visible_scopes(related, viewer(self))


class SilenceList(_Silences, AuditedList):
    """Silences, newest first."""

    cursor_field = "-id"


class SilenceDetail(_Silences, AuditedDetail):
    """One silence, by its id. Ended or deleted early, what it held back and is still open is told at once."""

    def get_object(self) -> Silence:
        silence: Silence = super().get_object()
        if self.request.method not in SAFE_METHODS and not within_sight_of(silence, self.request.user):
            raise PermissionDenied("This silence is about devices beyond those that you see: you may look at it only.")
        return silence
