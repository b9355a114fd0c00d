"""Check: whether a threshold would be accepted, what it means in words, and on what it would be judged."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.scopes import MANAGE_THRESHOLDS, READ_STATS
from thresholds.api.preview import DraftField, ViewPermission, checked_draft, seen_devices
from thresholds.document import names_of_scope
from thresholds.matching import matching_series
from thresholds.metric_units import MetricUnits
from thresholds.models import Threshold
from thresholds.preview import draft_rule
from thresholds.sentence import sentence

__all__ = ["CheckView"]

#: Devices that are named; all are counted.
_NAMED = 50


class CheckRequestSerializer(serializers.Serializer[Any]):
    threshold: Any = DraftField(help_text="A threshold as POST /api/v1/thresholds takes it, or the id of one.")


class CheckSerializer(serializers.Serializer[Any]):
    sentence = serializers.CharField(help_text="What it means, in words.")
    unit = serializers.CharField(help_text="Of its values, where the device type tells it.")
    series: Any = inline_serializer(
        "CheckSeries",
        {
            "matching": serializers.IntegerField(help_text="On how many series it would be judged."),
            "devices": serializers.ListField(child=serializers.CharField(), help_text=f"The first {_NAMED} of them."),
        },
    )


class CheckView(GenericAPIView):
    """POST /api/v1/thresholds/check."""

    queryset = Threshold.objects.all()
    serializer_class = CheckRequestSerializer
    permission_classes = [ViewPermission]
    required_scopes = (READ_STATS, MANAGE_THRESHOLDS)

    @extend_schema(operation_id="thresholds_check", responses={200: CheckSerializer})
    def post(self, request: Request) -> Response:
        """Say what is wrong with a threshold (400), or what it means; nothing is stored."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        checked, number = checked_draft(serializer.validated_data["threshold"], request.user)
        matching = matching_series(draft_rule(checked, number), _NAMED, seen_devices(request.user))
        unit = _unit(checked)
        overridden = Threshold.objects.filter(pk=checked["overrides"]).values_list("name", flat=True).first()
        said = sentence(checked | {"scope": names_of_scope(checked["scope"])}, unit, overridden)
        devices = [series.device for series in matching.series]
        return Response({"sentence": said, "unit": unit, "series": {"matching": matching.total, "devices": devices}})


def _unit(checked: dict[str, Any]) -> str:
    metric, scope = checked["metric"], checked["scope"]
    units = MetricUnits([metric])
    if "device" in scope:
        return units.of_type(scope["device"].type_id, metric)
    return units.of_type(scope["device_type"].pk, metric) if "device_type" in scope else units.everywhere(metric)
