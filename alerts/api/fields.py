"""Fields that channels, routes and silences share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts.models import Channel
from telemetry.api.fields import FiniteFloatField, viewer_of
from telemetry.sight import of_visible_scopes
from thresholds.api.serializers import ScheduleField
from thresholds.models import Severity, Threshold
from thresholds.schedule import problems

__all__ = ["ChannelNames", "MinutesField", "SeverityField", "ThresholdField", "WeeklyField"]

_MAX_ID = 2**63 - 1


@extend_schema_field({"type": "string", "enum": [severity.label for severity in Severity]})
class SeverityField(serializers.Field):  # type: ignore[type-arg]
    """A severity by its name."""

    default_error_messages = {"invalid_choice": "Say one of {known}."}

    def to_representation(self, value: int) -> str:
        return str(Severity(value).label)

    def to_internal_value(self, data: Any) -> int:
        known = {severity.label: severity.value for severity in Severity}
        if not isinstance(data, str) or data not in known:
            self.fail("invalid_choice", known=", ".join(known))
        return known[data]


class MinutesField(FiniteFloatField):
    """Seconds in the API, minutes in the model."""

    def to_representation(self, value: float) -> float:  # type: ignore[override]
        return float(value) * 60

    def to_internal_value(self, data: Any) -> float:
        return super().to_internal_value(data) / 60


class ThresholdField(serializers.PrimaryKeyRelatedField):  # type: ignore[type-arg]
    """A threshold by its id: their names need not be unique."""

    default_error_messages = {
        "does_not_exist": "There is no threshold {pk_value}; see GET /api/v1/thresholds.",
        "incorrect_type": "Say the id of a threshold, or null.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Threshold.objects.all(), required=False, allow_null=True, **kwargs)

    def get_queryset(self) -> Any:
        return of_visible_scopes(Threshold.objects.all(), viewer_of(self.context))

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("incorrect_type", data_type=type(data).__name__)
        if not 0 < data <= _MAX_ID:
            self.fail("does_not_exist", pk_value=data)
        return super().to_internal_value(data)


@extend_schema_field({"type": "array", "items": {"type": "string"}, "description": "Names of channels."})
class ChannelNames(serializers.Field):  # type: ignore[type-arg]
    """Channels by their names."""

    default_error_messages = {
        "not_a_list": "Give a list of names of channels.",
        "does_not_exist": "There is no channel {name!r}; make it first with POST /api/v1/channels.",
    }

    def to_representation(self, value: Any) -> list[str]:
        return sorted(channel.name for channel in value.all())

    def to_internal_value(self, data: Any) -> list[Channel]:
        if not isinstance(data, list) or len(data) > 100 or not all(isinstance(name, str) for name in data):
            self.fail("not_a_list")
        known = {channel.name: channel for channel in Channel.objects.all()}
        for name in data:
            if name not in known:
                self.fail("does_not_exist", name=name)
        return [known[name] for name in dict.fromkeys(data)]


class WeeklyField(ScheduleField):
    """As the schedule of a threshold."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if found := problems(value):
            raise serializers.ValidationError(_as_tree(found), "invalid")
        return value


def _as_tree(found: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Dotted places as keys; what concerns all of it under the field itself."""
    tree: dict[str, list[str]] = {}
    for where, what in found:
        tree.setdefault(where or "detail", []).append(what)
    return tree
