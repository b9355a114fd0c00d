"""How the API description tells of GET /api/v1/aggregates."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

from telemetry.query.question import FILLS, FUNCTIONS

__all__ = ["describe_aggregates"]

_TIME = "ISO 8601 with an offset, or an epoch number in seconds, milliseconds, microseconds or nanoseconds."
_PARAMETERS = [
    OpenApiParameter("device", str, many=True, description="Name of a device; may be repeated."),
    OpenApiParameter("group", str, many=True, description="Path of a group, with all below it; may be repeated."),
    OpenApiParameter(
        "metric", str, many=True, description="May be repeated. All metrics of a device without it; a group needs one."
    ),
    OpenApiParameter("start", str, description=f"From this time on; without it, 24 hours before the end. {_TIME}"),
    OpenApiParameter("end", str, description=f"Before this time; now without it. {_TIME}"),
    OpenApiParameter(
        "bucket",
        str,
        description="Width: 90s, 5m, 1h, 36h; 1d, 1w (from Monday), 1mo, 1q, 1y by the calendar of `tz`; raw for the readings "
        "themselves. May be left out where `points` is given.",
    ),
    OpenApiParameter(
        "points",
        int,
        description="For charts: without a bucket, the finest form that has at most so many points a line; with bucket=raw, at "
        "most so many readings, the extremes kept.",
    ),
    OpenApiParameter(
        "functions",
        str,
        description=f"Some of {', '.join(FUNCTIONS)}, with commas between them; avg,min,max without it.",
    ),
    OpenApiParameter("tz", str, default="UTC", description="IANA time zone of calendar buckets, and of times in CSV."),
    OpenApiParameter(
        "fill", str, enum=FILLS, default="none", description="Buckets without a reading: left out, null, or filled."
    ),
    OpenApiParameter("per", str, enum=["device"], description="A group device by device, instead of as one line."),
    OpenApiParameter(
        "compare",
        str,
        description="previous, or a width such as 7d: the same about the period before, or that much earlier, beside each bucket.",
    ),
    OpenApiParameter(
        "shape", str, enum=["rows", "columns"], default="rows", description="columns: compact, for charts."
    ),
    OpenApiParameter("format", str, enum=["json", "csv"], description="csv streams, like Accept: text/csv."),
    OpenApiParameter(
        "If-None-Match", str, OpenApiParameter.HEADER, description="ETag of an answer: 304 while it is still true."
    ),
]


class _Values(serializers.Serializer[Any]):
    """What a bucket amounts to: the functions that were asked for, null where there is nothing."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        numbers: dict[str, Any] = {
            name: serializers.FloatField(required=False, allow_null=True) for name in FUNCTIONS if name != "count"
        }
        count = serializers.IntegerField(required=False, help_text="Readings in the bucket; always there but for raw.")
        return {**super().get_fields(), **numbers, "count": count}


class PreviousBucketSerializer(_Values):
    time = serializers.DateTimeField()


class AggregateSerializer(_Values):
    device = serializers.CharField(required=False)
    group = serializers.CharField(required=False)
    metric = serializers.CharField()
    time = serializers.DateTimeField(help_text="When the bucket begins, UTC; when it was measured, for raw.")
    value = serializers.JSONField(required=False, help_text="For bucket=raw: the reading.")  # type: ignore[assignment]
    previous = PreviousBucketSerializer(required=False, allow_null=True, help_text="With compare.")


class AggregateSeriesSerializer(serializers.Serializer[Any]):
    device = serializers.CharField(required=False)
    group = serializers.CharField(required=False)
    metric = serializers.CharField()
    unit = serializers.CharField()
    time = serializers.ListField(child=serializers.IntegerField(), help_text="ms since 1970, one for each value.")
    value = serializers.ListField(child=serializers.FloatField(), required=False, help_text="For bucket=raw.")
    previous = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(allow_null=True)),
        required=False,
        help_text="With compare: by function, aligned with `time`.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        numbers: dict[str, Any] = {
            name: serializers.ListField(child=serializers.FloatField(allow_null=True), required=False)
            for name in FUNCTIONS
            if name != "count"
        }
        count = serializers.ListField(child=serializers.IntegerField(), required=False)
        return {**super().get_fields(), **numbers, "count": count}


class ComparedRangeSerializer(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class AggregatesSerializer(serializers.Serializer[Any]):
    """`results` with shape=rows, `series` with shape=columns."""

    bucket = serializers.CharField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        ["raw", "minute", "hour", "day"], help_text="The coarsest that was read."
    )
    tz = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    compare = ComparedRangeSerializer(required=False)
    results = AggregateSerializer(many=True, required=False)
    series = AggregateSeriesSerializer(many=True, required=False)
    stale = serializers.BooleanField(
        required=False, help_text="The database does not answer: this was true `Age` seconds ago."
    )


describe_aggregates = extend_schema(
    operation_id="aggregates",
    parameters=_PARAMETERS,
    responses={
        (200, "application/json"): AggregatesSerializer,
        (200, "text/csv"): OpenApiResponse(
            OpenApiTypes.STR,
            "Columns device or group, metric, time (in `tz`, with its offset), the functions, count; a text cell that a "
            "spreadsheet would take for a formula starts with an apostrophe.",
        ),
        304: OpenApiResponse(description="What If-None-Match names is still true."),
        422: OpenApiResponse(description="It would cost too much; `errors` says how to ask instead."),
    },
)
