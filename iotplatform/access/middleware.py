"""What access does around every request that Django answers: the audit knows where it came from and what was refused, and
answers say how long to wait and how often one may still ask."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from iotplatform.access import events
from iotplatform.access.rates import headers_of
from iotplatform.observability.metrics import client_address
from telemetry.audit_origin import request_from
from telemetry.models import DeviceKey

__all__ = ["AccessMiddleware"]

_log = logging.getLogger(__name__)


class AccessMiddleware:
    """Stands behind the middleware that knows the session's user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with request_from(client_address(request, settings.PLATFORM.trusted_proxies)):
            response = self._get_response(request)
            if response.status_code == 403:
                _write_down(request)
        if wait := getattr(request, "login_wait", 0):
            _make_wait(response, wait)
        if window := getattr(request, "rate_window", None):
            for name, value in headers_of(window).items():
                response.headers[name] = value
        return response


def _write_down(request: HttpRequest) -> None:
    match = request.resolver_match
    key = getattr(request, "auth", None)
    prefix = key.prefix if isinstance(key, DeviceKey) else ""
    route = match.route if match is not None else "none"
    try:
        events.denied(request.method or "", route, request.path_info[:500], getattr(request, "user", None), prefix)
    except DatabaseError as error:
        # What is refused stays refused while the database is away (such as /metrics, which does not need it).
        _log.warning("denial_not_audited", extra={"route": route, "error": str(error)})


def _make_wait(response: HttpResponseBase, wait: int) -> None:
    """The form of a login page answers 200 where it was not right; here it was not even tried."""
    if response.status_code == 200:
        response.status_code = 429
    response.headers["Retry-After"] = str(wait)
