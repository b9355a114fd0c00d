"""Routes that ask the database for readings, and give up within a second while it is down or drowning."""

from __future__ import annotations

from typing import Any

from django.db import InterfaceError, OperationalError
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.views import APIView

from telemetry.api.errors import Unavailable
from telemetry.deadline import database_deadline
from telemetry.query.breaker import breaker, connected_within, is_timeout

__all__ = ["PROMPT_SECONDS", "GuardedView"]

#: To get a connection, and to learn who asks.
PROMPT_SECONDS = 0.8


class GuardedView(APIView):
    """An APIView behind the breaker. One with an answer for the meantime overrides `answer_meanwhile`."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before anything that asks the database, finding out who asks included."""
        breaker.require_closed()
        with database_deadline(PROMPT_SECONDS):
            connected_within(PROMPT_SECONDS)
            super().initial(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(response, "status_code", 500) < 500:
            breaker.succeeded()
        return super().finalize_response(request, response, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, OperationalError | InterfaceError):
            breaker.failed(exc)
            if (meanwhile := self.answer_meanwhile()) is not None:
                return meanwhile
            if is_timeout(exc):
                exc = Unavailable(
                    "This took too long: ask for a shorter range, a wider bucket or fewer devices, or again a little later."
                )
        return super().handle_exception(exc)

    def answer_meanwhile(self) -> HttpResponseBase | None:
        """What can be answered without the database."""
        return None
