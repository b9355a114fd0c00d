"""How a silence looks in the API."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from alerts.api.fields import SeverityField, ThresholdField, WeeklyField
from alerts.models import Silence
from alerts.silencing import in_force
from telemetry.api.fields import LabelsField, NamedField, OffsetDateTimeField, StrictSerializer, viewer_of
from telemetry.models import DeviceType
from telemetry.sight import visible_devices, visible_groups, within_sight_of
from thresholds.schedule import parse

__all__ = ["SilenceSerializer", "silence_faults"]


class SilenceSerializer(StrictSerializer):
    """What it leaves empty matches everything."""

    device = NamedField("device", "devices", slug_field="name", seen=visible_devices, required=False, allow_null=True)
    group = NamedField("group", "groups", slug_field="path", seen=visible_groups, required=False, allow_null=True)
    device_type = NamedField(
        "device type",
        "device-types",
        slug_field="name",
        queryset=DeviceType.objects.all(),
        required=False,
        allow_null=True,
    )
    threshold: Any = ThresholdField()
    labels = LabelsField(required=False)
    max_severity = SeverityField(required=False, help_text="Alerts above it are sent all the same.")
    starts_at = OffsetDateTimeField(required=False, help_text="Left out: now.")
    ends_at = OffsetDateTimeField(required=False, allow_null=True, help_text="null only with a weekly schedule.")
    schedule: Any = WeeklyField()
    reason = serializers.CharField(max_length=500)
    author: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    active = serializers.SerializerMethodField(help_text="Whether it holds just now.")

    class Meta:
        model = Silence
        fields = [
            "id",
            "device",
            "group",
            "device_type",
            "threshold",
            "metric",
            "labels",
            "max_severity",
            "starts_at",
            "ends_at",
            "schedule",
            "reason",
            "author",
            "active",
            "created_at",
            "summarised_until",
        ]
        read_only_fields = ["id", "created_at", "summarised_until"]

    def get_active(self, silence: Silence) -> bool:
        return in_force(silence.starts_at, silence.ends_at, parse(silence.schedule), timezone.now())

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stored = self.instance if isinstance(self.instance, Silence) else None
        if stored is None:
            attrs.setdefault("starts_at", timezone.now())

        def value(name: str) -> Any:
            return attrs.get(name, getattr(stored, name, None))

        if found := silence_faults(value("starts_at"), value("ends_at"), value("schedule")):
            raise serializers.ValidationError(found, "invalid")
        whose = SimpleNamespace(device=value("device"), group=value("group"))
        if not within_sight_of(whose, viewer_of(self.context)):
            detail = "You see the devices of some groups only: say one of these groups, or a device of them."
            raise serializers.ValidationError({"group": detail}, "out_of_sight")
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Silence:
        request = self.context.get("request")
        return Silence.objects.create(author=request.user if request else None, **validated_data)


def silence_faults(starts_at: datetime, ends_at: datetime | None, schedule: Any) -> dict[str, str]:
    """Field → what to do, about its times."""
    if ends_at is None and schedule is None:
        return {"ends_at": "Say when it ends, or give it a weekly schedule: no silence lasts for ever by accident."}
    if ends_at is not None and ends_at <= starts_at:
        return {"ends_at": "It must end after it starts."}
    return {}
