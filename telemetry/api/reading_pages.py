"""Pages of raw readings, with links to the next and the previous one."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.utils.urls import replace_query_param

from telemetry.query.raw import Order, Position, Reading, raw
from telemetry.query.series import SeriesName
from telemetry.query.values import typed, utc_text
from telemetry.timeseries.engine import as_microseconds, as_timestamp

__all__ = ["Question", "page_of"]


@dataclass(frozen=True, slots=True)
class Question:
    """Readings of these series (by id) with event times in [start, end); None is open."""

    series: Mapping[int, SeriesName]
    start: datetime | None
    end: datetime | None
    order: Order


def page_of(question: Question, limit: int, cursor: str | None, url: str) -> dict[str, Any]:
    """One page: `{"results", "next", "previous"}`. `url` is the request's, absolute."""
    forward, position = _read_cursor(cursor)
    order = question.order if forward else _opposite(question.order)
    rows = raw(list(question.series), question.start, question.end, order, limit + 1, position)
    more, rows = len(rows) > limit, rows[:limit]
    if not forward:
        rows.reverse()
    has_next = more if forward else bool(rows)
    has_previous = bool(rows) and (position is not None if forward else more)
    return {
        "results": [_result(question, row) for row in rows],
        "next": _link(url, True, rows[-1]) if has_next else None,
        "previous": _link(url, False, rows[0]) if has_previous else None,
    }


def _result(question: Question, row: Reading) -> dict[str, Any]:
    series = question.series[row.series_id]
    return {
        "device": series.device,
        "metric": series.metric,
        "time": utc_text(row.time),
        "value": typed(row.value, series.boolean),
    }


def _opposite(order: Order) -> Order:
    return "asc" if order == "desc" else "desc"


def _link(url: str, forward: bool, row: Reading) -> str:
    cursor = json.dumps([forward, as_microseconds(row.time), row.series_id], separators=(",", ":"))
    return str(replace_query_param(url, "cursor", base64.urlsafe_b64encode(cursor.encode()).rstrip(b"=").decode()))


def _read_cursor(cursor: str | None) -> tuple[bool, Position | None]:
    """Whether to go forward, and from where. Raises ValidationError for what is no cursor of ours."""
    if not cursor:
        return True, None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        forward, time, series_id = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(forward, bool) or type(time) is not int or type(series_id) is not int:
            raise ValueError("not a cursor")
        return forward, Position(as_timestamp(time), series_id)
    except (ValueError, TypeError, OverflowError, OSError, RecursionError):
        raise ValidationError(
            {"cursor": "This is not a cursor of this list: take it from `next` or `previous`, or leave it out."},
            "invalid_cursor",
        ) from None
