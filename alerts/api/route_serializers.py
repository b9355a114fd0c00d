"""How a route looks in the API, with its escalation steps."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from alerts.api.fields import ChannelNames, MinutesField, SeverityField, ThresholdField
from alerts.models import Channel, EscalationStep, Route
from telemetry.api.fields import FiniteFloatField, LabelsField, NamedField, StrictSerializer
from telemetry.models import DeviceGroup, DeviceType

__all__ = ["RouteSerializer"]

_MAX_STEPS = 20
_YEAR_MINUTES = 366 * 1440.0
_LATER = "Seconds, from 60 (a minute) to a year."


class StepSerializer(StrictSerializer):
    """Whom to tell when nobody acknowledged for so long."""

    after_seconds = MinutesField(
        source="after_minutes", help_text="Seconds after the route told of the opening; at least 60."
    )
    channels = ChannelNames()

    class Meta:
        model = EscalationStep
        fields = ["after_seconds", "channels"]

    def validate_after_seconds(self, minutes: float) -> float:
        return _minutes(minutes)

    def validate_channels(self, channels: list[Channel]) -> list[Channel]:
        if not channels:
            raise serializers.ValidationError("Name at least one channel.", "empty")
        return channels


class RouteSerializer(StrictSerializer):
    """PATCH and PUT replace the list of escalation steps as a whole."""

    continues = serializers.BooleanField(source="continues", required=False, help_text="Ask the routes behind it too.")
    min_severity = SeverityField(required=False)
    group = NamedField(
        "group", "groups", slug_field="path", queryset=DeviceGroup.objects.all(), required=False, allow_null=True
    )
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
    channels = ChannelNames(required=False)
    group_seconds = FiniteFloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=3600,
        help_text="Openings within so many seconds are one message; null: ALERT_GROUP_SECONDS.",
    )
    repeat_seconds = MinutesField(
        source="repeat_minutes",
        required=False,
        allow_null=True,
        help_text="How often it is said again while open and unacknowledged; null: never.",
    )
    escalation: Any = StepSerializer(many=True, required=False)

    class Meta:
        model = Route
        fields = [
            "id",
            "name",
            "position",
            "enabled",
            "continues",
            "min_severity",
            "group",
            "device_type",
            "threshold",
            "labels",
            "channels",
            "group_seconds",
            "repeat_seconds",
            "recovery",
            "escalation",
        ]
        extra_kwargs = {
            "name": {
                "validators": [
                    UniqueValidator(
                        Route.objects.all(), "There is a route of this name already; give this one another."
                    )
                ]
            },
            "position": {"min_value": 0, "max_value": 1_000_000},
        }

    def get_fields(self) -> dict[str, Any]:
        """`continue` is no name that Python allows."""
        return {"continue" if name == "continues" else name: each for name, each in super().get_fields().items()}

    def validate_repeat_seconds(self, minutes: float | None) -> float | None:
        return None if minutes is None else _minutes(minutes)

    def validate_escalation(self, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(steps) > _MAX_STEPS:
            raise serializers.ValidationError(f"At most {_MAX_STEPS} steps.", "too_many")
        times = [step["after_minutes"] for step in steps]
        if len(set(times)) < len(times):
            raise serializers.ValidationError("Two steps come at the same time; make one of them.", "unique")
        return sorted(steps, key=lambda step: step["after_minutes"])  # type: ignore[no-any-return]

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Route:
        return self._write(Route(), validated_data)

    @transaction.atomic
    def update(self, instance: Route, validated_data: dict[str, Any]) -> Route:
        return self._write(instance, validated_data)

    def _write(self, route: Route, values: dict[str, Any]) -> Route:
        channels, steps = values.pop("channels", None), values.pop("escalation", None)
        for name, value in values.items():
            setattr(route, name, value)
        route.save()
        if channels is not None:
            route.channels.set(channels)
        if steps is not None:
            route.escalation.all().delete()
            for step in steps:
                made = EscalationStep.objects.create(route=route, after_minutes=step["after_minutes"])
                made.channels.set(step["channels"])
        return route


def _minutes(minutes: float) -> float:
    if not 1 <= minutes <= _YEAR_MINUTES:
        raise serializers.ValidationError(_LATER, "out_of_range")
    return minutes
