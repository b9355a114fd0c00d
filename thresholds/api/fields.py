"""Fields that only thresholds have: their scope, and values that are a number or a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from telemetry.api.fields import FiniteFloatField, NamedField, viewer_of
from telemetry.models import DeviceType
from telemetry.sight import sees_everything, visible_devices, visible_groups

__all__ = ["ScopeField", "TriggerField"]

_NUMBER = {"type": "number"}
_RANGE = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2, "description": "[low, high]"}
_ONE_OF = (
    'Give exactly one of {"device": "pump-7"}, {"device_type": "pump"}, {"group": "plant/hall-1"} or {"all": true}.'
)


def _only(name: str, schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    properties = {name: {**schema, "description": description}}
    return {"type": "object", "required": [name], "properties": properties, "additionalProperties": False}


@extend_schema_field(
    {
        "oneOf": [
            _only("device", {"type": "string"}, "Name of a device."),
            _only("device_type", {"type": "string"}, "Name of a device type."),
            _only("group", {"type": "string"}, "Path of a group; with everything below it."),
            _only("all", {"type": "boolean", "enum": [True]}, "Every device."),
        ],
        "example": {"device": "pump-7"},
    }
)
class ScopeField(serializers.Field):  # type: ignore[type-arg]
    """On which devices a threshold is judged: {"device": name}, {"device_type": name}, {"group": path} or {"all": true}.

    Becomes {kind: row}, or {"all": True}. Who sees only some groups names those and what lies in them; elsewhere his
    thresholds would be about devices of others. (A preview tells him of his own all the same: ``any_scope`` in the context.)
    """

    _NAMED = {
        "device": NamedField("device", "devices", slug_field="name", seen=visible_devices),
        "device_type": NamedField("device type", "device-types", slug_field="name", queryset=DeviceType.objects.all()),
        "group": NamedField("group", "groups", slug_field="path", seen=visible_groups),
    }

    def to_representation(self, value: Any) -> Any:
        return value

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, Mapping) or len(data) != 1:
            raise serializers.ValidationError(_ONE_OF, "one_scope")
        ((kind, name),) = data.items()
        viewer = viewer_of(self.context)
        if kind in ("all", "device_type") and not (self.context.get("any_scope") or sees_everything(viewer)):
            detail = "You see the devices of some groups only: give one of these groups, or a device of them."
            raise serializers.ValidationError({kind: detail}, "out_of_sight")
        if kind == "all":
            if name is not True:
                detail = 'Say true, or give a device, a device type or a group instead of "all".'
                raise serializers.ValidationError({"all": detail}, "invalid")
            return {"all": True}
        if kind not in self._NAMED:
            raise serializers.ValidationError(_ONE_OF, "one_scope")
        try:
            return {kind: self._NAMED[kind].named(name, viewer)}
        except serializers.ValidationError as error:
            raise serializers.ValidationError({kind: error.detail}) from error


@extend_schema_field({"oneOf": [_NUMBER, _RANGE]})
class TriggerField(serializers.Field):  # type: ignore[type-arg]
    """A number, or [low, high]."""

    default_error_messages = {"invalid": "Give a finite number, or [low, high] for outside and inside."}

    def to_representation(self, value: Any) -> Any:
        return value

    def to_internal_value(self, data: Any) -> float | list[float]:
        if isinstance(data, list):
            if len(data) != 2:
                self.fail("invalid")
            return [self._number(end) for end in data]
        return self._number(data)

    def _number(self, data: Any) -> float:
        if isinstance(data, bool):
            raise serializers.ValidationError(
                f"Values are numbers: write {int(data)} for {str(data).lower()}.", "invalid"
            )
        try:
            return FiniteFloatField().to_internal_value(data)
        except serializers.ValidationError:
            self.fail("invalid")
