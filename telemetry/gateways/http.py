"""Readings over HTTP as a Django view: for servers that speak WSGI, and for GET. ``asgi`` does the same without threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from telemetry import measures
from telemetry.api.readings import ReadingsView
from telemetry.gateways.body import TooLarge, read_body
from telemetry.gateways.readings import (
    Answer,
    Head,
    Refused,
    Taken,
    answered,
    check,
    cut_short,
    decoded,
    final_state,
    refusal,
    seconds_to_wait,
    too_large,
)
from telemetry.intake.accept import Accepted, Unavailable, accept
from telemetry.intake.process import Process, process
from telemetry.registry.registry import RegistryStale

__all__ = ["FIRST_LOOK", "LONGEST_LOOK", "readings"]

#: Seconds between looks at a receipt that is waited for: at first, and at most.
FIRST_LOOK, LONGEST_LOOK = 0.005, 0.1
_list_readings = ReadingsView.as_view()


@csrf_exempt  # devices come with a key, never with a cookie
def readings(request: HttpRequest) -> Any:
    """POST: send readings. GET: read them back."""
    if request.method != "POST":
        return _list_readings(request)
    try:
        answer = _answer(request)
    except Refused as refused:
        answer = refused.answer
    measures.intake_requests.labels(status=str(answer.status)).inc()
    return HttpResponse(
        answer.body, status=answer.status, content_type=answer.content_type, headers=dict(answer.headers)
    )


def _answer(request: HttpRequest) -> Answer:
    now = time.time()
    here = process()
    head = _head(request)
    try:
        key = check(head, here, now)
        accepted = _take(lambda: decoded(head, key, _body(request, head), here, now))
    except (Unavailable, RegistryStale, DatabaseError, InterfaceError) as error:
        raise refusal(error) from None
    answer = answered(accepted)
    seconds = seconds_to_wait(head)
    return (_wait(seconds, here, accepted) if seconds else None) or answer


def _take(decode: Callable[[], Taken]) -> Accepted:
    try:
        taken = decode()
    except Refused as refused:
        if refused.keep is not None:
            accept(refused.keep.columns, refused.keep.sender, refused.keep.received_at)
        raise
    return accept(taken.columns, taken.sender, taken.received_at)


def _head(request: HttpRequest) -> Head:
    meta = request.META
    length = meta.get("CONTENT_LENGTH") or None
    return Head(
        meta.get("HTTP_AUTHORIZATION", ""),
        meta.get("CONTENT_TYPE", "").partition(";")[0].strip().lower(),
        meta.get("HTTP_CONTENT_ENCODING", "").strip().lower(),
        meta.get("HTTP_IDEMPOTENCY_KEY", ""),
        int(length) if length else None,
        getattr(request, "request_id", ""),
        request.GET.get("wait"),
        request.GET.get("judge") == "true",
    )


def _body(request: HttpRequest, head: Head) -> bytes:
    try:
        return read_body(request.META["wsgi.input"], head.length, settings.PLATFORM.max_body_bytes)
    except TooLarge:
        raise too_large() from None
    except (OSError, EOFError, ValueError):
        raise cut_short() from None


def _wait(seconds: float, here: Process, accepted: Accepted) -> Answer | None:
    """Hold the answer until all is stored; None where the time is up, or too many wait already."""
    if accepted.receipt is None or not here.waiters.acquire(blocking=False):
        return None
    measures.intake_waiting.inc()
    try:
        end = time.monotonic() + seconds
        pause = FIRST_LOOK
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_LOOK)
            if answer := final_state(accepted, accepted.receipt):
                return answer
    finally:
        measures.intake_waiting.dec()
        here.waiters.release()
    return None
