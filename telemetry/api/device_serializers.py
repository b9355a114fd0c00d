"""How a device looks in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.validators import UniqueValidator

from telemetry.api.fields import LabelsField, NamedField, OffsetDateTimeField, StrictSerializer, viewer_of
from telemetry.device_state import DeviceState, state_of
from telemetry.models import Device, DeviceType
from telemetry.sight import sees_everything, visible_devices, visible_groups

__all__ = ["DeviceSerializer"]


class DeviceSerializer(StrictSerializer):
    """Needs devices with `last_seen` and `expected_interval` at hand, see `telemetry.api.devices`."""

    type = NamedField(
        "device type",
        "device-types",
        slug_field="name",
        queryset=DeviceType.objects.all(),
        required=False,
        allow_null=True,
        help_text="Name of its device type.",
    )
    group = NamedField(
        "group",
        "groups",
        slug_field="path",
        seen=visible_groups,
        required=False,
        allow_null=True,
        help_text="Path of its group.",
    )
    parent: Any = NamedField(
        "device",
        "devices",
        slug_field="name",
        seen=visible_devices,
        required=False,
        allow_null=True,
        help_text="Name of the gateway it speaks through.",
    )
    labels = LabelsField(required=False)
    last_seen = serializers.SerializerMethodField(help_text="When it last spoke.")
    state = serializers.SerializerMethodField(
        help_text="late: nothing for 1.5 × the smallest expected interval of its type (300 s if unknown), silent: 3 ×."
    )

    class Meta:
        model = Device
        fields = [
            "name",
            "type",
            "group",
            "parent",
            "labels",
            "enabled",
            "description",
            "location",
            "latitude",
            "longitude",
            "created_at",
            "last_seen",
            "state",
        ]
        extra_kwargs = {
            "name": {
                "validators": [
                    *Device._meta.get_field("name").validators,
                    UniqueValidator(
                        Device.objects.all(),
                        "There is a device of this name already; change it with PATCH on its own address.",
                    ),
                ]
            },
            "description": {"max_length": 10_000},
        }

    @extend_schema_field(OffsetDateTimeField(allow_null=True))
    def get_last_seen(self, device: Device) -> str | None:
        at = _last_seen(device)
        return None if at is None else OffsetDateTimeField().to_representation(at)

    @extend_schema_field(serializers.ChoiceField(DeviceState.choices))
    def get_state(self, device: Any) -> str:
        return str(state_of(device.enabled, _last_seen(device), device.expected_interval, timezone.now()))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Who sees only some groups keeps devices in them: elsewhere they would be out of that person's sight."""
        outside = attrs.get("group") is None and (self.instance is None or "group" in attrs)
        if outside and not sees_everything(viewer_of(self.context)):
            raise serializers.ValidationError({"group": "Say one of the groups that you see."}, "required")
        return attrs

    def validate_parent(self, parent: Device | None) -> Device | None:
        if parent is not None and self.instance is not None and parent.pk == self.instance.pk:
            raise serializers.ValidationError("A device cannot be its own gateway.")
        return parent


def _last_seen(device: Device) -> datetime | None:
    seen = getattr(device, "last_seen", None)
    return None if seen is None else seen.at
