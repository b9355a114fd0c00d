"""How a threshold looks in the API, and what is accepted as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.settings import api_settings

from telemetry.api.fields import FiniteFloatField, OffsetDateTimeField, StrictSerializer
from thresholds.api.fields import ScopeField, TriggerField
from thresholds.definition import MAX_CONSECUTIVE, Known, faults, override_faults
from thresholds.document import FIELDS, document, names_of_scope
from thresholds.fault import Fault
from thresholds.late import LateSum, late_sums
from thresholds.level_order import SEVERITIES
from thresholds.message import FIELDS as MESSAGE_FIELDS
from thresholds.metric_units import MetricUnits
from thresholds.models import GapPolicy, Level, Threshold
from thresholds.sentence import sentence

__all__ = ["Page", "ThresholdSerializer", "as_errors", "known_threshold", "overriding"]

_MAX_ID = 2**63 - 1
_MESSAGE_HELP = f"Added to what is sent; filled in are {', '.join(f'{{{name}}}' for name in MESSAGE_FIELDS)}."


class LevelSerializer(StrictSerializer):
    """From which value on it is which severity."""

    severity = serializers.ChoiceField(choices=SEVERITIES)
    trigger = TriggerField(
        help_text="[low, high] for outside and inside; seconds for silent; per second for rate_above."
    )
    clear: Any = TriggerField(
        required=False,
        allow_null=True,
        default=None,
        help_text="On the safe side of the trigger; null: as the trigger.",
    )

    class Meta:
        model = Level
        fields = ["severity", "trigger", "clear"]


class LateSerializer(serializers.Serializer[Any]):
    """Readings that came after newer ones and would have breached: they moved nothing."""

    count = serializers.IntegerField()
    series = serializers.IntegerField(help_text="Of how many series.")
    newest = OffsetDateTimeField(allow_null=True, help_text="Event time of the newest.")


_SCHEDULE = {
    "type": "object",
    "nullable": True,
    "required": ["zone", "windows"],
    "description": "When it is in force; null: always. A window whose end is not after its start runs past midnight.",
    "properties": {
        "zone": {"type": "string", "description": "IANA time zone.", "example": "Europe/Berlin"},
        "windows": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["days", "start", "end"],
                "properties": {
                    "days": {"type": "array", "items": {"enum": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}},
                    "start": {"type": "string", "example": "08:00"},
                    "end": {"type": "string", "example": "18:00"},
                },
            },
        },
    },
}


@extend_schema_field(_SCHEDULE)
class ScheduleField(serializers.JSONField):
    """Any JSON; thresholds.definition says what is wrong with it."""


class ThresholdSerializer(StrictSerializer):
    """Checks a threshold as a whole, so it always wants all of one: PATCH is merged with what is stored before that.

    Shows thresholds of `thresholds.edit.thresholds`; a `page` in the context knows what many of them need.
    """

    description = serializers.CharField(default="", allow_blank=True, max_length=10_000)
    enabled = serializers.BooleanField(default=True)
    scope = ScopeField()
    levels: Any = LevelSerializer(many=True, help_text="One for each severity that it may reach; at least one.")
    for_ = FiniteFloatField(default=0, help_text="How many seconds the condition must hold, in event time.")
    consecutive = serializers.IntegerField(
        default=1, min_value=1, max_value=MAX_CONSECUTIVE, help_text="How many readings in a row must breach."
    )
    clear_for = FiniteFloatField(default=0, help_text="How many seconds it must stay on the safe side to clear.")
    max_gap: Any = FiniteFloatField(
        default=None,
        allow_null=True,
        help_text="Readings further apart, in seconds, are a gap; null: three times the expected interval.",
    )
    gap_policy = serializers.ChoiceField(
        choices=GapPolicy.choices,
        default="reset",
        help_text="reset starts the clock anew after a gap, hold lets it run.",
    )
    schedule: Any = ScheduleField(default=None, allow_null=True)
    message = serializers.CharField(default="", allow_blank=True, help_text=_MESSAGE_HELP)
    overrides: Any = serializers.IntegerField(
        default=None,
        allow_null=True,
        min_value=1,
        max_value=_MAX_ID,
        help_text="Id of a threshold that is not judged wherever this one applies.",
    )
    unit = serializers.CharField(read_only=True, help_text="Of its values, where the device type tells it.")
    sentence = serializers.CharField(read_only=True, help_text="What it means, in words.")
    late_breaches: Any = LateSerializer(read_only=True)

    class Meta:
        model = Threshold
        fields = [
            "id",
            *("for_" if name == "for" else name for name in FIELDS),
            "unit",
            "sentence",
            "late_breaches",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["id", "created_at", "updated_at"]

    def get_fields(self) -> dict[str, Any]:
        """`for` is no name that Python allows."""
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}

    def to_representation(self, instance: Threshold) -> dict[str, Any]:
        page: Page = self.context.get("page") or Page([instance])
        shown = document(instance)
        unit = page.units.of(instance)
        late = page.late.get(instance.pk, LateSum())
        time = OffsetDateTimeField()
        return {
            "id": instance.pk,
            **shown,
            "unit": unit,
            "sentence": sentence(shown, unit, instance.overrides.name if instance.overrides else None),
            "late_breaches": LateSerializer(late).data,
            "created_at": time.to_representation(instance.created_at),
            "updated_at": time.to_representation(instance.updated_at),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        checked = attrs | {"scope": names_of_scope(attrs["scope"])}
        own_id = self.instance.pk if isinstance(self.instance, Threshold) else None
        found = faults(checked)
        if self.context.get("check_overrides", True):
            found += override_faults(own_id, checked, known_threshold, overriding(own_id))
        if found:
            raise serializers.ValidationError(as_errors(found))
        return attrs


class Page:
    """What the representations of many thresholds need beside their rows: two queries."""

    def __init__(self, shown: Iterable[Threshold]) -> None:
        thresholds = list(shown)
        self.units = MetricUnits(threshold.metric for threshold in thresholds)
        self.late = late_sums(threshold.pk for threshold in thresholds)


def as_errors(found: Iterable[Fault]) -> dict[str, Any]:
    """Faults in the framework's tree of errors."""
    tree: dict[str, Any] = {}
    for path, code, detail in found:
        node = tree
        for part in path:
            node = node.setdefault(str(part), {})
        node.setdefault(api_settings.NON_FIELD_ERRORS_KEY, []).append(serializers.ErrorDetail(detail, code))
    return tree


def known_threshold(threshold_id: int) -> Known | None:
    """What `override_faults` asks of another threshold."""
    row = Threshold.objects.filter(pk=threshold_id).values_list("name", "metric", "overrides_id").first()
    return None if row is None else Known(*row)


def overriding(own_id: int | None) -> dict[int, str]:
    """The metrics of the thresholds that override this one, by their ids."""
    if own_id is None:
        return {}
    return dict(Threshold.objects.filter(overrides=own_id).exclude(pk=own_id).values_list("id", "metric"))
