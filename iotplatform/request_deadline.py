"""Middleware: no request to the API waits for a hanging database."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from telemetry.deadline import database_deadline

__all__ = ["RequestDeadline"]

#: The promise is that no answer takes longer than 10 s; ``?wait=`` alone may take 5 of them.
_SECONDS = 7.0


class RequestDeadline:
    """Pages for people are left alone: a bulk action of the admin may take its time."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """What is streamed afterwards is no part of it."""
        if not request.path.startswith("/api/"):
            return self._get_response(request)
        with database_deadline(_SECONDS):
            return self._get_response(request)
