"""Reading back: raw readings of a device in pages or as CSV, and its latest values."""

from __future__ import annotations

from typing import Any, cast

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from telemetry.api import parameters
from telemetry.api.guarded import GuardedView
from telemetry.api.lookups import find
from telemetry.api.permissions import ModelPermissions
from telemetry.api.reading_csv import csv_lines
from telemetry.api.reading_pages import Question, page_of
from telemetry.models import Device
from telemetry.query.latest import latest
from telemetry.query.raw import Order
from telemetry.query.series import series_of
from telemetry.query.values import utc_text
from telemetry.scopes import READ_READINGS, READ_STATS
from telemetry.sight import visible_devices
from telemetry.timeseries.engine import EARLIEST, as_timestamp

__all__ = ["LatestView", "ReadingsView"]

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
#: Device and metric names have at most this many characters (`telemetry.models`).
_LONGEST_NAME = {"device": 200, "metric": 100}


class CSVRenderer(BaseRenderer):
    """Lets a client ask for CSV by Accept or ?format=; the view streams it itself, errors stay problem documents."""

    media_type = "text/csv"
    format = "csv"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        return JSONRenderer().render(data)


@extend_schema_field(
    {"oneOf": [{"type": "number"}, {"type": "boolean"}], "description": "true or false for a boolean metric."}
)
class ValueField(serializers.Field):  # type: ignore[type-arg]
    """A number, or true and false."""


class ReadingSerializer(serializers.Serializer[Any]):
    device = serializers.CharField()
    metric = serializers.CharField()
    time = serializers.DateTimeField(help_text="When it was measured, UTC.")
    value = ValueField()


class ReadingPageSerializer(serializers.Serializer[Any]):
    results = ReadingSerializer(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class LatestValueSerializer(serializers.Serializer[Any]):
    time = serializers.DateTimeField()
    value = ValueField()


class LatestSerializer(serializers.Serializer[Any]):
    device = serializers.CharField()
    metrics = serializers.DictField(child=LatestValueSerializer())


_TIME = "ISO 8601 with an offset, or an epoch number in seconds, milliseconds, microseconds or nanoseconds."
_PARAMETERS = [
    OpenApiParameter("device", str, required=True, description="Name of the device."),
    OpenApiParameter("metric", str, description="Only this metric; all of the device's without it."),
    OpenApiParameter("start", str, description=f"From this time on. {_TIME}"),
    OpenApiParameter("end", str, description=f"Before this time. {_TIME}"),
    OpenApiParameter("order", str, enum=["asc", "desc"], default="asc", description="By time."),
    OpenApiParameter("limit", int, default=DEFAULT_LIMIT, description=f"Readings per page, at most {MAX_LIMIT}."),
    OpenApiParameter("cursor", str, description="Where to go on, as given in `next` and `previous`."),
    OpenApiParameter(
        "format", str, enum=["json", "csv"], description="csv streams the whole range, like Accept: text/csv."
    ),
]


class ReadingsView(GuardedView):
    """GET /api/v1/readings."""

    queryset = Device.objects.all()  # who may see devices may see what they sent
    required_scopes = READ_READINGS
    permission_classes = [ModelPermissions]
    renderer_classes = [JSONRenderer, CSVRenderer]

    @extend_schema(
        operation_id="readings_list",
        parameters=_PARAMETERS,
        responses={
            (200, "application/json"): ReadingPageSerializer,
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR,
                "Columns device, metric, time, value; a text cell that a spreadsheet would take for a "
                "formula starts with an apostrophe.",
            ),
        },
    )
    def get(self, request: Request) -> Response | StreamingHttpResponse:
        """Raw readings of a device, by time."""
        question = _question(request)
        if request.accepted_renderer.format == "csv":
            return _csv(request, question)
        limit = parameters.whole_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        return Response(page_of(question, limit, request.query_params.get("cursor"), request.build_absolute_uri()))


class LatestView(GuardedView):
    """GET /api/v1/devices/{name}/latest."""

    queryset = Device.objects.all()
    required_scopes = READ_STATS
    permission_classes = [ModelPermissions]

    @extend_schema(operation_id="devices_latest", responses=LatestSerializer)
    def get(self, request: Request, name: str) -> Response:
        """The newest value of every metric of a device."""
        device = find(visible_devices(request.user), "device", name=name)
        metrics = {
            reading.metric: {"time": utc_text(reading.time), "value": reading.value} for reading in latest(device.pk)
        }
        return Response({"device": device.name, "metrics": metrics})


def _question(request: Request) -> Question:
    """What the query parameters ask for. Raises ValidationError (400) naming a wrong one, NotFound (404)."""
    name = _name(request, "device")
    if name is None:
        parameters.invalid("device", "Say whose readings: device=pump-7.", "required")
    metric = _name(request, "metric")
    order = cast(Order, parameters.choice(request, "order", ("asc", "desc")) or "asc")
    start, end = parameters.instant(request, "start"), parameters.instant(request, "end")
    if start is not None and end is not None and start > end:
        parameters.invalid("end", "The end must not lie before the start.")
    device = find(visible_devices(request.user), "device", name=name)
    return Question(
        series={series.id: series for series in series_of(device.pk, metric)},
        start=None if start is None else as_timestamp(max(start, EARLIEST)),
        end=None if end is None else as_timestamp(max(end, EARLIEST)),
        order=order,
    )


def _name(request: Request, parameter: str) -> str | None:
    value = parameters.text(request, parameter)
    if value is not None and len(value) > _LONGEST_NAME[parameter]:
        parameters.invalid(parameter, f"A name has at most {_LONGEST_NAME[parameter]} characters.", "max_length")
    return value


def _csv(request: Request, question: Question) -> StreamingHttpResponse:
    limit = None
    if "limit" in request.query_params:
        limit = parameters.whole_number(request, "limit", DEFAULT_LIMIT, 1, 2**31)
    names = [request.query_params["device"], request.query_params.get("metric", "")]
    answer = StreamingHttpResponse(csv_lines(question, limit), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = content_disposition_header(True, f"{'-'.join(filter(None, names))}.csv") or ""
    answer["Cache-Control"] = "no-store"
    # Proxies that collect an answer before passing it on would turn a stream of any size into a file of any size.
    answer["X-Accel-Buffering"] = "no"
    return answer
