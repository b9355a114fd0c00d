"""HTTP: a request's bytes to accept(), and its answer. A plain Django view, for it is on the hot path."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from telemetry import measures
from telemetry.api.problems import phrase, problem_response
from telemetry.api.readings import ReadingsView
from telemetry.gateways.body import NotGzip, TooLarge, gunzip, read_body
from telemetry.intake.accept import Accepted, Sender, Unavailable, accept
from telemetry.intake.batch import Columns, Rejection
from telemetry.intake.decode import DECODERS
from telemetry.intake.decode.errors import Malformed, TooManyValues
from telemetry.intake.process import Process, process
from telemetry.intake.refuse import PAYLOAD_CHARACTERS
from telemetry.receipts import Receipt, state_of
from telemetry.registry import KeyEntry
from telemetry.registry.registry import RegistryStale

__all__ = ["readings"]

#: Errors listed in one answer; `rejected` counts them all, and the quarantine has them.
_MOST_ERRORS = 1000
_FIRST_LOOK, _LONGEST_LOOK = 0.005, 0.1
_list_readings = ReadingsView.as_view()


class _Refused(Exception):
    """The request is answered with this problem."""

    def __init__(self, status: int, detail: str, errors: list[Rejection] | None = None, **headers: str) -> None:
        super().__init__(detail)
        self.response = problem_response(
            status,
            phrase(status),
            detail,
            None if errors is None else _as_json(errors),
            {name.replace("_", "-"): value for name, value in headers.items()},
        )


@csrf_exempt  # devices come with a key, never with a cookie
def readings(request: HttpRequest) -> Any:
    """POST: send readings. GET: read them back."""
    if request.method != "POST":
        return _list_readings(request)
    try:
        response = _send(request)
    except _Refused as refused:
        response = refused.response
    measures.intake_requests.labels(status=str(response.status_code)).inc()
    return response


def _send(request: HttpRequest) -> HttpResponse:
    now = time.time()
    here = process()
    try:
        here.require_ready()
        key = _key(request, here, now)
        columns = _columns(request, here, key, now)
        sender = _sender(request, key)
        accepted = accept(columns, sender, int(now * 1e6))
    except (Unavailable, RegistryStale, DatabaseError, InterfaceError) as error:
        raise _Refused(503, f"Nothing was taken, send it again later: {error}", Retry_After="2") from None
    return _answer(request, here, accepted)


def _key(request: HttpRequest, here: Process, now: float) -> KeyEntry:
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    key = here.registry.key(token.strip(), now) if scheme.lower() == "bearer" else None
    if key is None:
        raise _Refused(
            401, "Send a valid device key: Authorization: Bearer iot_…", WWW_Authenticate='Bearer realm="api"'
        )
    return key


def _sender(request: HttpRequest, key: KeyEntry) -> Sender:
    idempotency = request.META.get("HTTP_IDEMPOTENCY_KEY", "")
    if len(idempotency) > 255:
        raise _Refused(400, "An Idempotency-Key has 255 characters at most.")
    # Old data is judged only where it is asked for; then nobody is notified.
    judge = not key.backfill or request.GET.get("judge") == "true"
    return Sender(key, key.backfill, judge, getattr(request, "request_id", ""), idempotency)


def _columns(request: HttpRequest, here: Process, key: KeyEntry, now: float) -> Columns:
    """Read, decompress and decode the body; refuse what cannot be used as a whole."""
    most = settings.PLATFORM.max_values_per_request
    decode = DECODERS.get(request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower())
    if decode is None:
        raise _Refused(415, f"Send Content-Type: {' or '.join(DECODERS)}.")
    body = _body(request)
    try:
        columns = decode(body, most)
    except TooManyValues as error:
        raise _Refused(413, str(error)) from None
    except Malformed as error:
        _keep_malformed(here, key, body, str(error), request, now)
        raise _Refused(400, str(error), [Rejection(None, "", "malformed", str(error))]) from None
    limit = key.rate_limit if key.rate_limit is not None else settings.PLATFORM.key_rate_limit
    wait = here.rates.wait_for(key.id, limit, len(columns))
    if wait:
        raise _Refused(429, f"More than {limit:g} readings per second.", Retry_After=str(int(wait) + 1))
    return columns


def _body(request: HttpRequest) -> bytes:
    most = settings.PLATFORM.max_body_bytes
    length = request.META.get("CONTENT_LENGTH") or None
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise _Refused(415, "Send the body plain or with Content-Encoding: gzip.", Accept_Encoding="gzip")
    try:
        body = read_body(request.META["wsgi.input"], int(length) if length else None, most)
        return gunzip(body, most) if encoding == "gzip" else body
    except TooLarge:
        detail = f"A request has {most:,} bytes at most, after decompression too; send the rest in further requests."
        raise _Refused(413, detail) from None
    except NotGzip as error:
        raise _Refused(400, str(error), [Rejection(None, "", "malformed", str(error))]) from None
    except (OSError, EOFError, ValueError):
        raise _Refused(400, "The body could not be read to its end.") from None


def _keep_malformed(here: Process, key: KeyEntry, body: bytes, detail: str, request: HttpRequest, now: float) -> None:
    """A body that is no JSON goes to quarantine as text, as far as the sender's share of it allows."""
    if not body:
        return
    payload = body[:PAYLOAD_CHARACTERS].decode("utf-8", "backslashreplace")
    refused = Rejection(None, "", "malformed", detail[:500], key.device_name or "", payload)
    accept(Columns.empty([refused]), Sender(key, request_id=getattr(request, "request_id", "")), int(now * 1e6))


def _answer(request: HttpRequest, here: Process, accepted: Accepted) -> HttpResponse:
    if accepted.receipt is None:
        codes = {refused.code for refused in accepted.errors}
        status = 403 if codes == {"forbidden_device"} else 400
        detail = f"Nothing in it could be accepted. The first reason: {accepted.errors[0].detail}"
        raise _Refused(status, detail, accepted.errors)
    token = accepted.receipt.token()
    if "wait" in request.GET:
        final = _wait(request.GET["wait"], here, accepted.receipt)
        if final is not None:
            return _json({**final, "receipt": token, "errors": _as_json(accepted.errors)}, 200)
    answer = {
        "accepted": accepted.accepted,
        "rejected": accepted.rejected,
        "receipt": token,
        "errors": _as_json(accepted.errors),
    }
    return _json(answer, 202)


def _wait(asked: str, here: Process, receipt: Receipt) -> dict[str, Any] | None:
    """Hold the answer until all is stored; None where the time is up, or too many wait already."""
    try:
        seconds = min(float(asked), settings.PLATFORM.max_wait_seconds)
    except ValueError:
        return None
    if not seconds > 0 or not here.waiters.acquire(blocking=False):
        return None
    measures.intake_waiting.inc()
    try:
        end = time.monotonic() + seconds
        pause = _FIRST_LOOK
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_LOOK)
            state = state_of(receipt)
            if state["state"] != "pending":
                return state
    except (DatabaseError, InterfaceError):
        return None  # it was accepted all the same; the receipt can be asked for later
    finally:
        measures.intake_waiting.dec()
        here.waiters.release()
    return None


def _as_json(errors: list[Rejection]) -> list[dict[str, Any]]:
    return [refused.as_problem() for refused in errors[:_MOST_ERRORS]]


def _json(answer: dict[str, Any], status: int) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(answer), status=status, content_type="application/json")
