"""What every request gets, whoever answers it: an id, security headers, one line in the access log, its time measured,
and below /api/ an error that is JSON. Runs around the hot path too, so it stays below 30 µs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import getrandbits
from time import perf_counter

import structlog
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from prometheus_client import Histogram
from structlog.contextvars import bind_contextvars, reset_contextvars

from iotplatform.observability.metrics import request_seconds
from telemetry import tracing

__all__ = ["DATA_HEADERS", "QUIET_STATUSES", "RequestMiddleware", "RequestTimers", "request_id_of"]

_log = structlog.get_logger("access")
_sane_id = re.compile(r"[A-Za-z0-9._-]{1,64}\Z").match
#: Everything else counts as one method: a metric must not grow with what clients make up.
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_API = "/api/"
#: Answered thousands of times a second, or asked by machines all day: not worth a line each when all is well, and while
#: the site is overloaded the lines would only add to it. The metrics count them all.
_QUIET_ROUTES = frozenset(("api/v1/readings", "healthz", "readyz", "metrics"))
QUIET_STATUSES = frozenset((200, 202, 304, 429, 503))

_PERMISSIONS = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()"
)
_CSP_DATA = "default-src 'none'; frame-ancestors 'none'"
_CSP_PAGE = (
    "default-src 'self'; img-src 'self' data:; style-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
#: The admin's kit evaluates expressions in its templates (Alpine.js), and the API's page starts with an inline script.
_CSP_INLINE = _CSP_PAGE.replace(
    "default-src 'self';", "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
).replace("style-src 'self';", "style-src 'self' 'unsafe-inline';")
_INLINE_PATHS = ("/admin/", "/api/v1/docs")


def request_id_of(given: str | None) -> str:
    """The id that a client gave its request, where it is a sane one, else a new one."""
    return given if given is not None and _sane_id(given) else f"{getrandbits(128):032x}"


class RequestTimers:
    """Times requests by method, route and status."""

    def __init__(self) -> None:
        self._timers: dict[tuple[str | None, str, int], Histogram] = {}

    def observe(self, method: str | None, route: str, status: int, seconds: float) -> None:
        """One request, answered."""
        timer = self._timers.get((method, route, status))
        if timer is None:
            known = method if method in _METHODS else "other"
            timer = request_seconds.labels(known, route, str(status))
            if known == method:
                self._timers[method, route, status] = timer
        timer.observe(seconds)


class RequestMiddleware:
    """The outermost middleware. Sets ``request.request_id``, which answers carry as X-Request-ID."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._timers = RequestTimers()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        began = perf_counter()
        request_id = request_id_of(request.META.get("HTTP_X_REQUEST_ID"))
        request.request_id = request_id  # type: ignore[attr-defined]
        span = (
            tracing.spans.request(request.method or "", request.META.get("HTTP_TRACEPARENT", ""))
            if tracing.spans
            else None
        )
        traced = {"trace_id": span.trace_id} if span is not None else {}
        bound = bind_contextvars(request_id=request_id, **traced)
        status, route = 500, ""
        try:
            response = self._get_response(request)
            status = response.status_code
            if response.status_code >= 400 and request.path_info.startswith(_API):
                _as_problem(response, request_id)
            _add_headers(request, response, request_id)
            route = self._measure(request, response, perf_counter() - began)
        finally:
            reset_contextvars(**bound)
            if span is not None:
                span.end(request.method or "", f"/{route}", status)
        return response

    def _measure(self, request: HttpRequest, response: HttpResponseBase, seconds: float) -> str:
        match = request.resolver_match
        route = match.route if match is not None else _unrouted(request.path_info)
        status = response.status_code
        self._timers.observe(request.method, route, status, seconds)
        quiet = status in QUIET_STATUSES and route in _QUIET_ROUTES
        write = _log.debug if quiet else _log.error if status >= 500 else _log.info
        write(
            "request",
            method=request.method,
            path=request.path_info,
            route=route,
            status=status,
            ms=round(seconds * 1000, 2),
            bytes=None if response.streaming else len(response.content),  # type: ignore[attr-defined]
        )
        return route


def _unrouted(path: str) -> str:
    return "static" if path.startswith("/static/") else "none"


def _add_headers(request: HttpRequest, response: HttpResponseBase, request_id: str) -> None:
    headers = response.headers
    headers["X-Request-ID"] = request_id
    if "Content-Security-Policy" not in headers:
        page = headers.get("Content-Type", "").startswith("text/html")
        inline = page and request.path_info.startswith(_INLINE_PATHS)
        headers["Content-Security-Policy"] = _CSP_INLINE if inline else _CSP_PAGE if page else _CSP_DATA
    headers["Permissions-Policy"] = _PERMISSIONS
    # Where an answer was given before Django's own middleware for it (a wrong host), and over the page of the API's
    # description, which would open itself to windows of other sites.
    headers["X-Frame-Options"] = "DENY"
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    # No other site's page may embed an answer, and so have it in the memory of a process that it can look into.
    headers["Cross-Origin-Resource-Policy"] = "same-origin"


#: What goes with every answer that is data and does not pass Django's middleware.
DATA_HEADERS = {
    "Content-Security-Policy": _CSP_DATA,
    "Permissions-Policy": _PERMISSIONS,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _as_problem(response: HttpResponseBase, request_id: str) -> None:
    """Errors that the API's own code did not write (no such route, a crash in a view) as RFC 9457 problems."""
    if not isinstance(response, HttpResponse) or not response.headers.get("Content-Type", "").startswith("text/html"):
        return
    status = response.status_code
    problem = {
        "type": "about:blank",
        "title": response.reason_phrase,
        "status": status,
        "detail": _DETAILS.get(status, "The request could not be answered."),
        "request_id": request_id,
    }
    response.content = json.dumps(problem)
    response.headers["Content-Type"] = "application/problem+json"
    response.headers["Content-Length"] = str(len(response.content))


_DETAILS = {
    400: "The request is not valid HTTP for this site; its host name may not be among ALLOWED_HOSTS.",
    403: "The request lacks a valid CSRF token.",
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
    500: "Something went wrong on our side. Quote the request id when you report it.",
}
