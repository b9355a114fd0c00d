"""How alerts look in the API, and what their actions take."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts.explain import explain
from alerts.models import Alert, AlertEvent
from telemetry.api.fields import OffsetDateTimeField, StrictSerializer
from thresholds.models import Severity

__all__ = ["AlertDetailSerializer", "AlertSerializer", "AssignSerializer", "CommentSerializer", "NoteSerializer"]

MAX_TEXT = 10_000
_SEVERITIES = {severity.value: severity.label for severity in Severity}


@extend_schema_field(serializers.ChoiceField(choices=list(_SEVERITIES.values())))
class SeverityField(serializers.Field):
    """A severity by its name."""

    def to_representation(self, value: int) -> str:
        return _SEVERITIES[value]


@extend_schema_field({"oneOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}}], "nullable": True})
class TriggerField(serializers.Field):
    """A number, or [low, high]."""

    def to_representation(self, value: Any) -> Any:
        return value


def _user(**options: Any) -> Any:
    return serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True, **options)


class AlertSerializer(serializers.ModelSerializer):
    """Names as they were when it opened: thresholds and devices may be gone."""

    threshold = serializers.IntegerField(source="threshold_id", help_text="Id; 0: the platform itself.")
    device = serializers.CharField(source="device_name")
    severity = SeverityField(help_text="That it stands at.")
    highest_severity = SeverityField(help_text="That it has reached.")
    trigger = TriggerField(help_text="Of the level that it stands at.")
    opened_at = OffsetDateTimeField(help_text="Event time of the reading that completed the condition.")
    detected_at = OffsetDateTimeField(help_text="Wall clock then.")
    value_at = OffsetDateTimeField(allow_null=True, help_text="Event time of the latest value.")
    acknowledged_at = OffsetDateTimeField(allow_null=True)
    acknowledged_by: Any = _user(help_text="User name.")
    ended_at = OffsetDateTimeField(allow_null=True)
    assignee: Any = _user(help_text="User name.")

    class Meta:
        model = Alert
        fields = [
            "id",
            "threshold",
            "threshold_name",
            "device",
            "metric",
            "unit",
            "condition",
            "state",
            "severity",
            "highest_severity",
            "trigger",
            "value",
            "value_at",
            "extreme",
            "readings",
            "opened_at",
            "detected_at",
            "acknowledged_at",
            "acknowledged_by",
            "ended_at",
            "end_reason",
            "assignee",
            "flapping",
            "imported",
        ]
        read_only_fields = fields
        extra_kwargs = {
            "value": {"help_text": "The latest judged one; of `silent` the seconds of silence."},
            "extreme": {"help_text": "The breaching value furthest from what is safe."},
            "readings": {"help_text": "How many have breached."},
            "imported": {"help_text": "Opened by an import or a backfill: recorded, nobody was told."},
        }


class TimelineSerializer(serializers.ModelSerializer):
    at = OffsetDateTimeField(help_text="Wall clock of the row.")
    event_time = OffsetDateTimeField(allow_null=True, help_text="Of the reading behind it, where there is one.")
    who: Any = _user(help_text="User name; null: the platform.")
    severity = SeverityField(allow_null=True)

    class Meta:
        model = AlertEvent
        fields = ["at", "kind", "who", "value", "text", "event_time", "severity"]
        read_only_fields = fields


class AlertDetailSerializer(AlertSerializer):
    """With why it opened, who was told, and all that happened to it."""

    explanation = serializers.SerializerMethodField(help_text="In words: why it opened, who was told, who was not.")
    timeline: Any = TimelineSerializer(many=True)

    class Meta(AlertSerializer.Meta):
        fields = [*AlertSerializer.Meta.fields, "rule", "explanation", "timeline"]
        read_only_fields = fields
        extra_kwargs = AlertSerializer.Meta.extra_kwargs | {
            "rule": {"help_text": "The threshold as it was when the alert opened."}
        }

    def get_explanation(self, alert: Alert) -> str:
        return explain(alert).text


class NoteSerializer(StrictSerializer):
    """What may be said with an action."""

    text = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_TEXT)

    class Meta:
        model = AlertEvent
        fields = ["text"]


class CommentSerializer(StrictSerializer):
    text = serializers.CharField(max_length=MAX_TEXT)

    class Meta:
        model = AlertEvent
        fields = ["text"]


class AssignSerializer(StrictSerializer):
    """Who is to look after it."""

    assignee: Any = serializers.CharField(
        allow_null=True, max_length=150, help_text="User name, `me`, or null for nobody."
    )

    class Meta:
        model = Alert
        fields = ["assignee"]

    def validate_assignee(self, name: str | None) -> Any:
        if name is None:
            return None
        user = self.context["request"].user
        if name != "me":
            user = get_user_model()._default_manager.filter(username=name).first()
        if user is None or not user.is_active:
            raise serializers.ValidationError(
                f"There is no active user {name!r}; say a user name, me, or null.", "does_not_exist"
            )
        if not user.has_perm("alerts.view_alert"):
            raise serializers.ValidationError(
                f"{user.get_username()} may not see alerts: add the permission in the admin first.", "may_not_view"
            )
        return user
