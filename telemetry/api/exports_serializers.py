"""How saved queries, exports and their runs look in the API."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied

from telemetry.api.fields import OffsetDateTimeField, StrictSerializer, viewer_of
from telemetry.exports.question import MAX_QUERY, check_query
from telemetry.exports.rights import visible_queries
from telemetry.models import ExportRun, SavedQuery, ScheduledExport
from telemetry.query.buckets import zone_named
from telemetry.scopes import READ_READINGS, READ_STATS, scopes_of

__all__ = ["ExportRunSerializer", "PeriodSerializer", "SavedQuerySerializer", "ScheduledExportSerializer", "scopes_in"]

_MOST_RECIPIENTS = 50
_WEEKDAYS = {day.name.lower(): day.value for day in ScheduledExport.Weekday}


def scopes_in(context: Any) -> Collection[str] | None:
    """Those of the token that a serializer's request came with; None for a session."""
    return scopes_of(getattr(context.get("request"), "auth", None))


class SavedQuerySerializer(StrictSerializer):
    owner: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    name = serializers.CharField(max_length=200)
    query = serializers.CharField(
        max_length=MAX_QUERY,
        help_text="The query parameters of the route without start and end: device=pump-7&metric=temperature&bucket=1h. "
        "tz is that of the export where the query says none.",
    )

    class Meta:
        model = SavedQuery
        fields = ["id", "name", "owner", "route", "query", "created_at"]
        read_only_fields = ["id", "created_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stored = self.instance if isinstance(self.instance, SavedQuery) else None
        owner = viewer_of(self.context) if stored is None else stored.owner
        name = attrs.get("name", getattr(stored, "name", None))
        others = SavedQuery.objects.filter(owner=owner, name=name).exclude(pk=stored.pk if stored else 0)
        if others.exists():
            raise serializers.ValidationError({"name": "There is a saved query of this name already."}, "unique")
        if "query" in attrs or "route" in attrs:
            route = attrs.get("route", getattr(stored, "route", ""))
            query = attrs.get("query", getattr(stored, "query", ""))
            attrs["raw"] = check_query(route, query, owner)
            self._allow(attrs["raw"])
        return attrs

    def _allow(self, raw: bool) -> None:
        """A token saves only what it may ask itself."""
        scopes, needed = scopes_in(self.context), READ_READINGS if raw else READ_STATS
        if scopes is not None and needed not in scopes:
            raise PermissionDenied(f"This token lacks the scope: {needed}. Ask for one that has it.")


class QueryField(serializers.PrimaryKeyRelatedField):
    """A saved query by its id, among those that one sees."""

    default_error_messages = {
        "does_not_exist": "There is no saved query {pk_value}; make it first with POST /api/v1/saved-queries.",
        "incorrect_type": "Say the id of a saved query.",
    }

    def get_queryset(self) -> Any:
        return visible_queries(viewer_of(self.context), scopes_in(self.context))

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, int) and not -(2**63) <= data < 2**63:
            self.fail("does_not_exist", pk_value=data)
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "enum": list(_WEEKDAYS), "nullable": True})
class WeekdayField(serializers.ChoiceField):
    """A day by its English name; 0 is Monday inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(_WEEKDAYS), **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return _WEEKDAYS[super().to_internal_value(data)]

    def to_representation(self, value: Any) -> Any:
        return None if value is None else ScheduledExport.Weekday(value).name.lower()


class ScheduledExportSerializer(StrictSerializer):
    name = serializers.CharField(max_length=200)
    query: Any = QueryField(queryset=SavedQuery.objects.none(), help_text="Id of a saved query.")
    weekday: Any = WeekdayField(required=False, allow_null=True, help_text="Of weekly exports.")
    at = serializers.TimeField(
        format="%H:%M", input_formats=["%H:%M"], required=False, help_text="HH:MM by the clocks of the zone."
    )
    zone = serializers.CharField(required=False, max_length=64, help_text="IANA time zone of days, weeks and `at`.")
    days = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=366, help_text="Of period last_days."
    )
    recipients: Any = serializers.ListField(
        child=serializers.EmailField(max_length=254),
        required=False,
        max_length=_MOST_RECIPIENTS,
        help_text="They are sent a link that asks them to sign in.",
    )
    next_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="null while it is disabled.")

    class Meta:
        model = ScheduledExport
        fields = [
            "id",
            "name",
            "query",
            "every",
            "weekday",
            "at",
            "zone",
            "period",
            "days",
            "format",
            "destination",
            "recipients",
            "enabled",
            "next_at",
            "created_at",
        ]
        read_only_fields = ["id", "created_at"]

    def validate_zone(self, name: str) -> str:
        try:
            return zone_named(name).key
        except ValueError:
            raise serializers.ValidationError(
                "Say an IANA time zone, such as UTC, Europe/Berlin or Asia/Kolkata.", "invalid_choice"
            ) from None

    def validate_recipients(self, addresses: list[str]) -> list[str]:
        return list(dict.fromkeys(addresses))

    def validate_destination(self, destination: str) -> str:
        if destination == ScheduledExport.Destination.S3 and not settings.PLATFORM.export_s3_endpoint:
            raise serializers.ValidationError(
                "No store is configured: set EXPORT_S3_ENDPOINT and what goes with it, or say folder.", "not_configured"
            )
        return destination

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        stored = self.instance if isinstance(self.instance, ScheduledExport) else ScheduledExport()

        def value(name: str) -> Any:
            return attrs.get(name, getattr(stored, name))

        faults = {}
        weekly, last_days = value("every") == "weekly", value("period") == "last_days"
        if weekly and value("weekday") is None:
            faults["weekday"] = "Say on which day: monday."
        if last_days and value("days") is None:
            faults["days"] = "Say how many days: 7."
        if not weekly and value("period") == "last_week":
            faults["every"] = "The same week would be due seven times: say weekly, or another period."
        if faults:
            raise serializers.ValidationError(faults, "invalid")
        # What does not belong to the choice made is forgotten, so that a change of `every` alone is enough.
        if not weekly:
            attrs["weekday"] = None
        if not last_days:
            attrs["days"] = None
        return attrs


class PeriodSerializer(StrictSerializer):
    """Both or neither: without them it is about what the schedule would be about now."""

    start = OffsetDateTimeField(required=False, source="period_start")
    end = OffsetDateTimeField(required=False, source="period_end")

    class Meta:
        model = ExportRun
        fields = ["start", "end"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs.get("period_start"), attrs.get("period_end")
        if (start is None) != (end is None):
            raise serializers.ValidationError(
                {"end" if end is None else "start": "Say both start and end, or neither."}, "required"
            )
        if start is not None and end is not None and not start < end:
            raise serializers.ValidationError({"end": "The end must lie after the start."}, "invalid")
        if start is not None and (start.year < 1970 or end is None or end.year >= 3000):
            raise serializers.ValidationError({"start": "Say a time from 1970 to 2999."}, "invalid_time")
        return attrs


class ExportRunSerializer(StrictSerializer):
    start = serializers.DateTimeField(source="period_start", help_text="It is about [start, end).")
    end = serializers.DateTimeField(source="period_end")
    requested_by: Any = serializers.SlugRelatedField(slug_field="username", read_only=True, allow_null=True)
    scheduled = serializers.BooleanField(help_text="By the schedule; false: a person asked for it.")
    removed = serializers.SerializerMethodField(help_text="Its file was there, and was removed when its time was over.")

    class Meta:
        model = ExportRun
        fields = [
            "id",
            "export",
            "start",
            "end",
            "state",
            "scheduled",
            "requested_by",
            "attempts",
            "due_at",
            "format",
            "destination",
            "rows",
            "bytes",
            "sha256",
            "location",
            "removed",
            "error",
            "mail",
            "mail_error",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields

    def get_removed(self, run: ExportRun) -> bool:
        return run.removed_at is not None
