"""Pages of alerts: by a few columns together, as a cursor over an index has it."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.core.exceptions import ValidationError as FieldError
from django.db.models import BooleanField, F, Func, Value
from django.db.models.lookups import GreaterThan, LessThan
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from alerts.models import Alert
from telemetry.api import parameters
from telemetry.api.pagination import DEFAULT_LIMIT, MAX_LIMIT, CursorPagination

__all__ = ["ORDERINGS", "AlertPagination"]

#: Name → columns, all in one direction, with the id last so that no two rows are equal. Each has an index.
ORDERINGS: dict[str, tuple[str, ...]] = {
    "-opened_at": ("-opened_at", "-id"),
    "opened_at": ("opened_at", "id"),
    "-severity": ("-severity", "-opened_at", "-id"),
}


class AlertPagination(CursorPagination):
    """`?ordering=` names one of ORDERINGS; a cursor is the base64url JSON array [true if it goes forward, [values]]."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self._url = request.build_absolute_uri()
        columns = ORDERINGS[parameters.choice(request, "ordering", ORDERINGS) or "-opened_at"]
        self._columns = [column.removeprefix("-") for column in columns]
        limit = parameters.whole_number(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
        forward, position = self._position(request.query_params.get("cursor"))

        upward = forward is not columns[0].startswith("-")
        if position is not None:
            beside = (GreaterThan if upward else LessThan)(_Row(*map(F, self._columns)), _Row(*map(Value, position)))
            queryset = queryset.filter(beside)
        order = [column if upward else f"-{column}" for column in self._columns]
        rows = list(queryset.order_by(*order)[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        if not forward:
            rows.reverse()
        self._next = self._link(rows, forward=True, exists=more if forward else True)
        self._previous = self._link(rows, forward=False, exists=position is not None if forward else more)
        return rows

    def _position(self, cursor: str | None) -> tuple[bool, list[Any] | None]:
        if cursor is None:
            return True, None
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            forward, values = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if not isinstance(forward, bool) or not all(type(value) in (int, str) for value in values):
                raise ValueError("not a cursor")
            fields: list[Any] = [Alert._meta.get_field(column) for column in self._columns]
            cleaned = [field.to_python(value) for field, value in zip(fields, values, strict=True)]
            if not all(_whole(value) for value in cleaned) or not -(2**63) <= cleaned[-1] < 2**63:
                raise ValueError("not a cursor")
        except (ValueError, TypeError, RecursionError, FieldError, OverflowError):
            raise serializers.ValidationError(
                {"cursor": "This is not a cursor of this list: take it from `next` or `previous`, or leave it out."},
                "invalid_cursor",
            ) from None
        return forward, cleaned

    def _link(self, rows: Any, *, forward: bool, exists: bool) -> str | None:
        if not exists or not rows:
            return super()._link(rows, forward=forward, exists=exists)
        row = rows[-1 if forward else 0]
        values = [_plain(getattr(row, column)) for column in self._columns]
        encoded = base64.urlsafe_b64encode(json.dumps([forward, values]).encode()).rstrip(b"=")
        return replace_query_param(self._url, "cursor", encoded.decode())


class _Row(Func):
    """Several columns compared as one."""

    template = "(%(expressions)s)"
    output_field = BooleanField()


def _whole(value: Any) -> bool:
    return value is not None and getattr(value, "tzinfo", value) is not None


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else value.isoformat()
