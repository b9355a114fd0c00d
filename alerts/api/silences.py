"""Silences and recurring maintenance windows."""

from __future__ import annotations

from alerts.api.audited import AuditedDetail, AuditedList
from alerts.api.silence_serializers import SilenceSerializer
from alerts.models import Silence

__all__ = ["SilenceDetail", "SilenceList"]

_SILENCES = Silence.objects.select_related("device", "group", "device_type", "threshold", "author")


class SilenceList(AuditedList):
    """Silences, newest first."""

    kind = "silence"
    queryset = _SILENCES
    serializer_class = SilenceSerializer
    cursor_field = "-id"


class SilenceDetail(AuditedDetail):
    """One silence, by its id. Ended or deleted early, what it held back and is still open is told at once."""

    kind = "silence"
    queryset = _SILENCES
    serializer_class = SilenceSerializer
