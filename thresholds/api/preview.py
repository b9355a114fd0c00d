"""Preview: what a threshold, saved or not, would have done over stored history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.errors import Unavailable
from telemetry.api.fields import OffsetDateTimeField
from telemetry.api.permissions import ModelPermissions
from telemetry.models import Device
from telemetry.query.values import utc_text
from telemetry.scopes import MANAGE_THRESHOLDS, READ_STATS
from telemetry.sight import of_visible_scopes, sees_everything, visible_devices
from telemetry.timeseries.engine import EARLIEST, as_microseconds, as_timestamp
from thresholds import edit
from thresholds.api.serializers import ThresholdSerializer
from thresholds.document import document
from thresholds.level_order import SEVERITIES
from thresholds.models import Threshold
from thresholds.notices import PreviewAlert
from thresholds.preview import DEFAULT_RANGE, MAX_ALERTS, MAX_SERIES, Busy, Preview, TooExpensive, draft_rule, preview
from thresholds.rule import Rule

__all__ = ["DraftField", "PreviewView", "ViewPermission", "checked_draft", "rule_of", "seen_devices"]

_MAX_ID = 2**63 - 1


class ViewPermission(ModelPermissions):
    """Whoever may look at thresholds may try one."""

    perms_map = ModelPermissions.perms_map | {"POST": ModelPermissions.perms_map["GET"]}


@extend_schema_field({"oneOf": [{"$ref": "#/components/schemas/ThresholdRequest"}, {"type": "integer"}]})
class DraftField(serializers.JSONField):
    """A threshold, or the id of one."""


class PreviewRequestSerializer(serializers.Serializer[Any]):
    threshold: Any = DraftField(help_text="A threshold as POST /api/v1/thresholds takes it, or the id of one.")
    start = OffsetDateTimeField(required=False, help_text="30 days before the end where it is left out.")
    end = OffsetDateTimeField(required=False, help_text="Now where it is left out; the range is [start, end).")


class PreviewAlertSerializer(serializers.Serializer[Any]):
    device = serializers.CharField()
    metric = serializers.CharField()
    severity = serializers.ChoiceField(choices=SEVERITIES, help_text="The highest that it reached.")
    opened_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="null: still open at the end.")
    extreme = serializers.FloatField(help_text="The value furthest from what is safe; of rate_above the rate.")
    flapping = serializers.BooleanField()


class PreviewSerializer(serializers.Serializer[Any]):
    openings = serializers.IntegerField(help_text="How many alerts it would have opened.")
    notifications = serializers.IntegerField(
        help_text="How many messages one channel would have had: openings, flapping and recoveries, grouped."
    )
    alerts: Any = PreviewAlertSerializer(many=True, help_text=f"By opening, the first {MAX_ALERTS}.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    readings = serializers.IntegerField(help_text="How many were judged.")
    series: Any = inline_serializer(
        "PreviewSeries", {"matching": serializers.IntegerField(), "judged": serializers.IntegerField()}
    )
    truncated = serializers.BooleanField(
        help_text=f"Not all is told: only the first {MAX_SERIES} series are judged, or not all alerts are listed."
    )


class PreviewView(GenericAPIView):
    """POST /api/v1/thresholds/preview."""

    queryset = Threshold.objects.all()
    serializer_class = PreviewRequestSerializer
    permission_classes = [ViewPermission]
    required_scopes = {"POST": (READ_STATS, MANAGE_THRESHOLDS)}

    @extend_schema(responses={200: PreviewSerializer})
    def post(self, request: Request) -> Response:
        """Run a threshold over stored history: how many alerts it would have opened, when, for how long, on what.

        It begins at the start as if nothing had been before. 400 where it would read too much: the answer says what to
        narrow; 503 while another one is made.
        """
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        wanted = serializer.validated_data
        now = as_microseconds(timezone.now())
        start, end = _range(wanted, now)
        rule = rule_of(wanted["threshold"], request.user)
        try:
            return Response(_shown(preview(rule, start, end, now, seen_devices(request.user))))
        except TooExpensive as error:
            parameters.invalid("start", str(error), "too_expensive")
        except Busy as error:
            raise Unavailable(str(error)) from error


def seen_devices(user: Any) -> QuerySet[Device] | None:
    """The devices that a preview may tell of; None where nothing is hidden from this person."""
    return None if sees_everything(user) else visible_devices(user)


def rule_of(wanted: Any, user: Any = None) -> Rule:
    """The rule of a threshold's id, or of one as it is sent. Raises ValidationError below the field "threshold"."""
    return draft_rule(*checked_draft(wanted, user))


def checked_draft(wanted: Any, user: Any = None) -> tuple[dict[str, Any], int]:
    """The document of a threshold's id, or of one as it is sent, its scope as rows; and its id, 0 where it has none.
    Raises ValidationError below the field "threshold"."""
    instance: Threshold | None = None
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        known = of_visible_scopes(edit.thresholds(), user)
        instance = known.filter(pk=wanted).first() if 0 < wanted <= _MAX_ID else None
        if instance is None:
            parameters.invalid("threshold", f"There is no threshold {wanted}; give the id of one.", "does_not_exist")
        wanted = document(instance)
    if not isinstance(wanted, Mapping):
        parameters.invalid("threshold", "Give a threshold as POST /api/v1/thresholds takes it, or the id of one.")
    # Of which devices it tells is decided elsewhere (`seen_devices`): any scope may be tried.
    context = {"viewer": user, "any_scope": True}
    serializer = ThresholdSerializer(instance, data={"name": "Preview"} | dict(wanted), context=context)
    if not serializer.is_valid():
        raise serializers.ValidationError({"threshold": serializer.errors})
    return serializer.validated_data, instance.pk if instance else 0


def _range(wanted: Mapping[str, Any], now: int) -> tuple[int, int]:
    """[start, end) in µs since 1970."""
    end = max(as_microseconds(wanted["end"]), EARLIEST) if "end" in wanted else now
    start = max(as_microseconds(wanted["start"]) if "start" in wanted else end - DEFAULT_RANGE, EARLIEST)
    if start >= end:
        parameters.invalid("end" if "end" in wanted else "start", "The start must lie before the end.", "empty_range")
    return start, end


def _shown(found: Preview) -> dict[str, Any]:
    return {
        "openings": found.openings,
        "notifications": found.notifications,
        "alerts": [_alert(alert) for alert in found.alerts],
        "start": _time(found.start),
        "end": _time(found.end),
        "readings": found.readings,
        "series": {"matching": found.matching, "judged": found.judged},
        "truncated": found.truncated,
    }


def _alert(alert: PreviewAlert) -> dict[str, Any]:
    return {
        "device": alert.series.device,
        "metric": alert.series.metric,
        "severity": SEVERITIES[alert.severity - 1],
        "opened_at": _time(alert.opened_at),
        "ended_at": None if alert.ended_at is None else _time(alert.ended_at),
        "extreme": alert.extreme,
        "flapping": alert.flapping_at is not None,
    }


def _time(moment: int) -> str:
    return utc_text(as_timestamp(moment))
