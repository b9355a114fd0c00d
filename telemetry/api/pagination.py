"""Keyset pagination over a unique, indexed field: as fast on the last page as on the first, with no count."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError as FieldError
from django.db.models import Model
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from telemetry.api import parameters

__all__ = ["CursorPagination"]

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class CursorPagination(BasePagination):
    """`{"results", "next", "previous"}`; the view's `cursor_field` ("name", "-id") is unique and gives the order.

    A cursor is the base64url JSON array [true if it goes forward, value of the field next to the page].
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self._url = request.build_absolute_uri()
        ordering: str = view.cursor_field
        self._field = ordering.removeprefix("-")
        limit = parameters.whole_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        forward, position = self._read(request.query_params.get("cursor"), queryset.model)

        upward = forward is not ordering.startswith("-")
        if position is not None:
            queryset = queryset.filter(**{f"{self._field}__{'gt' if upward else 'lt'}": position})
        rows = list(queryset.order_by(self._field if upward else f"-{self._field}")[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        if not forward:
            rows.reverse()

        self._next = self._link(rows, forward=True, exists=more if forward else True)
        self._previous = self._link(rows, forward=False, exists=position is not None if forward else more)
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next, "previous": self._previous})

    def _read(self, cursor: str | None, model: type[Model]) -> tuple[bool, Any]:
        if cursor is None:
            return True, None
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            forward, position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            field: Any = model._meta.get_field(self._field)
            if not isinstance(forward, bool) or type(position) not in (int, str):
                raise ValueError("not a cursor")
            str(position).encode()  # half of a surrogate pair cannot be sent to the database
            position = field.clean(position, None)
        except (ValueError, TypeError, RecursionError, FieldError):
            raise serializers.ValidationError(
                {"cursor": "This is not a cursor of this list: take it from `next` or `previous`, or leave it out."},
                "invalid_cursor",
            ) from None
        return forward, position

    def _link(self, rows: Sequence[Any], *, forward: bool, exists: bool) -> str | None:
        """The page after the last row (or before the first); an empty page leads back to where it was asked from."""
        if not exists:
            return None
        if not rows:
            # The rows beyond the cursor are gone; from its other side the list can be read on.
            return remove_query_param(self._url, "cursor")
        position = getattr(rows[-1 if forward else 0], self._field)
        encoded = base64.urlsafe_b64encode(json.dumps([forward, position]).encode()).rstrip(b"=")
        return replace_query_param(self._url, "cursor", encoded.decode())

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "limit",
                "in": "query",
                "description": f"Results per page: {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
                "schema": {"type": "integer", "default": DEFAULT_LIMIT},
            },
            {
                "name": "cursor",
                "in": "query",
                "description": "Where to go on, as given in `next` and `previous`.",
                "schema": {"type": "string"},
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {"results": schema, "next": link, "previous": link},
        }
