"""Device types with the contract of their metrics."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import ProtectedError
from rest_framework import serializers
from rest_framework.generics import ListCreateAPIView, RetrieveUpdateDestroyAPIView
from rest_framework.validators import UniqueValidator

from telemetry.api.audited import AuditedThings
from telemetry.api.errors import Conflict
from telemetry.api.fields import StrictSerializer
from telemetry.api.lookups import find
from telemetry.api.permissions import UnrestrictedToChange
from telemetry.models import DeviceType, MetricDefinition
from telemetry.scopes import MANAGE_DEVICES, looked_at_or

__all__ = ["DeviceTypeDetail", "DeviceTypeList"]

MAX_METRICS = 1000


class MetricSerializer(StrictSerializer):
    class Meta:
        model = MetricDefinition
        fields = ["name", "unit", "kind", "low", "high", "expected_interval"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        low, high = attrs.get("low"), attrs.get("high")
        if low is not None and high is not None and low > high:
            raise serializers.ValidationError(
                {"high": "The physical maximum must not lie below the minimum."}, "too_low"
            )
        return attrs


class DeviceTypeSerializer(StrictSerializer):
    """PATCH and PUT replace the list of metrics as a whole; those of the same name keep their identity."""

    metrics = MetricSerializer(many=True, required=False, max_length=MAX_METRICS)  # type: ignore[call-arg]

    class Meta:
        model = DeviceType
        fields = ["name", "description", "strict", "metrics", "created_at"]
        extra_kwargs = {
            "name": {
                "validators": [
                    *DeviceType._meta.get_field("name").validators,
                    UniqueValidator(
                        DeviceType.objects.all(),
                        "There is a device type of this name already; change it with PATCH on its own address.",
                    ),
                ]
            },
            "description": {"max_length": 10_000},
        }

    def validate_metrics(self, metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen: set[str] = set()
        for number, metric in enumerate(metrics):
            if metric["name"] in seen:
                detail = {"name": [serializers.ErrorDetail(f"{metric['name']!r} is listed twice.", "unique")]}
                raise serializers.ValidationError([{}] * number + [detail])  # type: ignore[list-item]
            seen.add(metric["name"])
        return metrics

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> DeviceType:
        metrics = validated_data.pop("metrics", [])
        device_type = DeviceType.objects.create(**validated_data)
        _replace_metrics(device_type, metrics)
        return device_type

    @transaction.atomic
    def update(self, instance: DeviceType, validated_data: dict[str, Any]) -> DeviceType:
        metrics = validated_data.pop("metrics", None)
        # Two replacements at once would otherwise both add what is new to them.
        DeviceType.objects.select_for_update().get(pk=instance.pk)
        device_type: DeviceType = super().update(instance, validated_data)
        if metrics is not None:
            _replace_metrics(device_type, metrics)
        return find(_types(), "device type", name=device_type.name)  # type: ignore[no-any-return]


class DeviceTypeList(AuditedThings, ListCreateAPIView):
    """Device types, by name."""

    required_scopes = looked_at_or(MANAGE_DEVICES)
    permission_classes = [UnrestrictedToChange]

    queryset = DeviceType.objects.prefetch_related("metrics")
    serializer_class = DeviceTypeSerializer
    cursor_field = "name"


class DeviceTypeDetail(AuditedThings, RetrieveUpdateDestroyAPIView):
    """One device type, by its name."""

    required_scopes = looked_at_or(MANAGE_DEVICES)
    permission_classes = [UnrestrictedToChange]

    queryset = DeviceType.objects.prefetch_related("metrics")
    serializer_class = DeviceTypeSerializer

    def get_object(self) -> DeviceType:
        device_type = find(self.get_queryset(), "device type", name=self.kwargs["name"])
        self.check_object_permissions(self.request, device_type)
        return device_type

    def perform_destroy(self, instance: DeviceType) -> None:
        try:
            super().perform_destroy(instance)
        except ProtectedError as error:
            count = len(error.protected_objects)
            raise Conflict(
                f"{count} devices are of this type; give them another one, or delete them, first."
            ) from error


def _types() -> Any:
    return DeviceType.objects.prefetch_related("metrics")


def _replace_metrics(device_type: DeviceType, wanted: list[dict[str, Any]]) -> None:
    names = [metric["name"] for metric in wanted]
    device_type.metrics.exclude(name__in=names).delete()
    for metric in wanted:
        blank = {field.name: field.get_default() for field in _contract_fields()}
        device_type.metrics.update_or_create(name=metric["name"], defaults=blank | metric)


def _contract_fields() -> list[Any]:
    keep = ("unit", "kind", "low", "high", "expected_interval")
    return [MetricDefinition._meta.get_field(name) for name in keep]
