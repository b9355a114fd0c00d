"""How a device key looks in the API. Its secret is in the answer to the POST that made it, and nowhere else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from telemetry.api.fields import NamedField, StrictSerializer, viewer_of
from telemetry.models import DeviceKey
from telemetry.sight import sees_everything, visible_devices, visible_groups

__all__ = ["DeviceKeySerializer", "IssuedKeySerializer", "WideKeySerializer"]

_SCOPE_SCHEMA = {
    "type": "object",
    "description": "Exactly one of: a device's name, a group's path, all.",
    "properties": {
        "device": {"type": "string"},
        "group": {"type": "string"},
        "all": {"type": "boolean", "enum": [True]},
    },
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "example": {"group": "plant/hall-1"},
}
_WRONG_SCOPE = 'Say one of {"device": name}, {"group": path}, {"all": true}.'


@extend_schema_field(_SCOPE_SCHEMA)
class ScopeField(serializers.Field):
    """`{"device": name}`, `{"group": path}` or `{"all": true}` against the three columns of a key."""

    default_error_messages = {
        "invalid": _WRONG_SCOPE.replace("{", "{{").replace("}", "}}"),
        "wide": "You see the devices of some groups only: hand out keys for single devices of them.",
    }
    named = {
        "device": NamedField("device", "devices", slug_field="name", seen=visible_devices),
        "group": NamedField("group", "groups", slug_field="path", seen=visible_groups),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(source="*", **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict) or len(data) != 1:
            self.fail("invalid")
        ((kind, value),) = data.items()
        viewer = viewer_of(self.context)
        if kind != "device" and not sees_everything(viewer):
            self.fail("wide")
        if kind == "all" and value is True:
            return {"all_devices": True}
        if kind not in self.named:
            self.fail("invalid")
        return {kind: self.named[kind].named(value, viewer)}

    def to_representation(self, key: DeviceKey) -> dict[str, Any]:
        if key.device is not None:
            return {"device": key.device.name}
        return {"group": key.group.path} if key.group is not None else {"all": True}


class DeviceKeySerializer(StrictSerializer):
    scope = ScopeField(read_only=True)
    state = serializers.SerializerMethodField()
    created_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)

    class Meta:
        model = DeviceKey
        fields = [
            "id",
            "prefix",
            "name",
            "scope",
            "backfill",
            "rate_limit",
            "expires_at",
            "state",
            "revoked_at",
            "last_used_at",
            "created_at",
            "created_by",
        ]
        read_only_fields = ["prefix", "revoked_at", "last_used_at", "created_at"]
        extra_kwargs = {"rate_limit": {"min_value": 1}}

    @extend_schema_field(serializers.ChoiceField(["valid", "expired", "revoked"]))
    def get_state(self, key: DeviceKey) -> str:
        return key.state(timezone.now())

    def validate_expires_at(self, at: datetime | None) -> datetime | None:
        if at is not None and at <= timezone.now():
            raise serializers.ValidationError("This time is over already; say a later one, or null for never.", "past")
        return at

    def create(self, validated_data: dict[str, Any]) -> DeviceKey:
        key = DeviceKey(**validated_data)
        self.token = key.issue()
        return key


class WideKeySerializer(DeviceKeySerializer):
    """With the scope to be said."""

    scope = ScopeField()


class IssuedKeySerializer(DeviceKeySerializer):
    """The answer to a new key; only here does it show."""

    key = serializers.SerializerMethodField(help_text="The key, as it is sent. It is shown this once.")

    class Meta(DeviceKeySerializer.Meta):
        fields = ["id", "prefix", "key", *DeviceKeySerializer.Meta.fields[2:]]

    def get_key(self, key: DeviceKey) -> str:
        return str(self.context["token"])
