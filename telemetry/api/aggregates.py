"""GET /api/v1/aggregates: what stored readings amount to, bucket by bucket."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from telemetry.api.aggregate_formats import csv_of, json_of
from telemetry.api.aggregate_question import Asked, asked_of
from telemetry.api.aggregate_schema import describe_aggregates
from telemetry.api.errors import TooMuchAsked
from telemetry.api.permissions import ModelPermissions
from telemetry.api.readings import CSVRenderer
from telemetry.models import Device
from telemetry.query.aggregates import aggregate_in, chart_in
from telemetry.query.compare import earlier
from telemetry.query.question import Answer, Limits, RawAnswer, TooMuch
from telemetry.query.snapshot import snapshot

__all__ = ["AggregatesView"]

_CSV_TIMES = 10


class AggregatesView(APIView):
    """GET /api/v1/aggregates."""

    queryset = Device.objects.all()  # who may see devices may see what they amount to
    required_scopes = {"GET": "read:stats"}
    permission_classes = [ModelPermissions]
    renderer_classes = [JSONRenderer, CSVRenderer]

    @describe_aggregates
    def get(self, request: Request) -> HttpResponse | StreamingHttpResponse:
        """Aggregates of devices or groups, by bucket."""
        asked = asked_of(request)
        try:
            answer, before = _answer(asked)
        except TooMuch as error:
            raise TooMuchAsked({error.parameter: error.detail}, error.code) from error
        if asked.csv:
            return _csv(answer)
        return HttpResponse(json_of(answer, before, asked.columns), content_type="application/json")


def _answer(asked: Asked) -> tuple[Answer | RawAnswer, Answer | None]:
    limits = _limits(asked)
    with snapshot(limits.seconds) as cursor:
        if asked.chart_points:
            answer = chart_in(cursor, asked.question, asked.chart_points, limits, buckets=asked.compare is not None)
        else:
            answer = aggregate_in(cursor, asked.question, limits)
        if asked.compare is None or isinstance(answer, RawAnswer):
            return answer, None
        before = aggregate_in(cursor, earlier(answer.question, asked.compare), limits)
        assert isinstance(before, Answer)
        return answer, before


def _limits(asked: Asked) -> Limits:
    platform = settings.PLATFORM
    points = platform.query_max_points * (_CSV_TIMES if asked.csv else 1)
    return Limits(platform.query_max_rows, points, platform.query_timeout_seconds)


def _csv(answer: Answer | RawAnswer) -> StreamingHttpResponse:
    response = StreamingHttpResponse(csv_of(answer), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="aggregates-{answer.bucket}.csv"'
    response["Cache-Control"] = "no-store"
    # Proxies that collect an answer before passing it on would turn a stream of any size into a file of any size.
    response["X-Accel-Buffering"] = "no"
    return response
