"""GET /api/v1/aggregates: what stored readings amount to, bucket by bucket."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from django.conf import settings
from django.http import HttpResponse, StreamingHttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from telemetry.api.aggregate_formats import csv_of, json_of
from telemetry.api.aggregate_question import Asked, asked_of
from telemetry.api.aggregate_schema import describe_aggregates
from telemetry.api.errors import TooMuchAsked
from telemetry.api.guarded import PROMPT_SECONDS, GuardedView
from telemetry.api.permissions import ModelPermissions
from telemetry.api.readings import CSVRenderer
from telemetry.models import Device
from telemetry.query.aggregates import aggregate_in, chart_in, must_fit
from telemetry.query.answer_cache import answers, key_of
from telemetry.query.breaker import breaker
from telemetry.query.compare import earlier
from telemetry.query.freshness import Freshness, freshness_of
from telemetry.query.question import Answer, Limits, RawAnswer, TooMuch
from telemetry.query.snapshot import Cursor, snapshot

__all__ = ["AggregatesView"]

_CSV_TIMES = 10


class AggregatesView(GuardedView):
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
            with breaker.slot(PROMPT_SECONDS):
                if asked.csv:
                    return _csv(_computed(asked)[0])
                body, tag = _body_of(asked, request.headers.get("If-None-Match", ""))
        except TooMuch as error:
            raise TooMuchAsked({error.parameter: error.detail}, error.code) from error
        if body is None:
            return _with_validators(HttpResponse(status=304), tag)
        answers.put(_meanwhile_key(request), body, settings.PLATFORM.query_stale_seconds)
        return _with_validators(HttpResponse(body, content_type="application/json"), tag)

    def answer_meanwhile(self) -> HttpResponse | None:
        """What this very request, with these credentials, was answered a short while ago."""
        kept = answers.get(_meanwhile_key(self.request))
        if kept is None:
            return None
        response = HttpResponse(b'{"stale":true,' + kept.body[1:], content_type="application/json")
        response["Warning"] = '110 - "Response is Stale"'
        response["Age"] = str(max(0, int(time.time() - kept.at)))
        response["Cache-Control"] = "no-store"
        return response


def _body_of(asked: Asked, known: str) -> tuple[bytes | None, str]:
    """(body, ETag); no body where the client has it already: `known` is its If-None-Match."""
    limits = _limits(asked)
    must_fit(asked.question, limits)
    with snapshot(limits.seconds) as cursor:
        fresh = freshness_of(cursor, asked.question)
        stamp = _stamp(cursor, asked, fresh)
        key = key_of("aggregates", asked, stamp)
        tag = _tag(key)
        if stamp is not None:
            if _matches(known, tag):
                return None, tag
            if (kept := answers.get(key)) is not None:
                return kept.body, tag
        answer, before = _computed_in(cursor, asked, limits, fresh)
    body = json_of(answer, before, asked.columns)
    if stamp is not None:
        answers.put(key, body, settings.PLATFORM.query_cache_seconds)
        return body, tag
    tag = _tag(body)
    return (None if _matches(known, tag) else body), tag


def _stamp(cursor: Cursor, asked: Asked, fresh: Freshness) -> tuple[int | None, ...] | None:
    """What an answer that may be kept is true for: the stamps of its period, and of the one it is compared with."""
    if fresh.stamp is None or asked.compare is None:
        return None if fresh.stamp is None else (fresh.stamp,)
    if asked.question.bucket is None:
        return None
    before = freshness_of(cursor, earlier(asked.question, asked.compare)).stamp
    return None if before is None else (fresh.stamp, before)


def _computed(asked: Asked) -> tuple[Answer | RawAnswer, Answer | None]:
    limits = _limits(asked)
    with snapshot(limits.seconds) as cursor:
        return _computed_in(cursor, asked, limits)


def _computed_in(
    cursor: Cursor, asked: Asked, limits: Limits, fresh: Freshness | None = None
) -> tuple[Answer | RawAnswer, Answer | None]:
    """The answer, and that about the period it is compared with."""
    if asked.chart_points:
        compared = asked.compare is not None
        answer = chart_in(cursor, asked.question, asked.chart_points, limits, fresh, buckets=compared)
    else:
        answer = aggregate_in(cursor, asked.question, limits, fresh)
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


# --- who has what already ------------------------------------------------------------------------------------------


def _tag(said: str | bytes) -> str:
    return f'"{hashlib.sha256(said if isinstance(said, bytes) else said.encode()).hexdigest()[:32]}"'


def _matches(known: str, tag: str) -> bool:
    """If-None-Match compares weakly (RFC 9110, 13.1.2)."""
    return any(each.strip().removeprefix("W/") in (tag, "*") for each in known.split(","))


def _with_validators(response: HttpResponse, tag: str) -> HttpResponse:
    response["ETag"] = tag
    # Kept by browsers, but asked for each time: a late reading shows at once.
    response["Cache-Control"] = "private, no-cache"
    response["Vary"] = "Accept, Authorization, Cookie"
    return response


def _meanwhile_key(request: Any) -> str:
    """The same request by the same credentials: who has been shown an answer may be shown it again."""
    cookie = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return key_of("meanwhile", request.headers.get("Authorization", ""), cookie, request.get_full_path())
