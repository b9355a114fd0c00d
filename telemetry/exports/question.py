"""The text of a saved query as a question about a period: read by the code that reads the query of a URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from django.core.exceptions import TooManyFieldsSent
from django.http import QueryDict
from django.utils import timezone
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request

from telemetry.api.aggregate_question import asked_of
from telemetry.exports.failures import ExportRefused
from telemetry.models import SavedQuery
from telemetry.query.question import Question
from telemetry.timeseries.engine import as_microseconds

__all__ = ["check_query", "is_raw", "kept_query", "question_of"]

MAX_QUERY = 20_000
_WHOSE = ("device", "group", "metric", "per", "tz")
#: What a file can be asked for; its period is that of the export.
_PARAMETERS = {
    SavedQuery.Route.AGGREGATES: (*_WHOSE, "bucket", "functions", "fill"),
    SavedQuery.Route.READINGS: _WHOSE,
}
#: What a URL of a page may have besides: how to show it, and which period.
_OF_PAGES = ("start", "end", "points", "compare", "shape", "format", "limit", "order", "cursor", "range", "overlay")


@dataclass(frozen=True, slots=True)
class _Asked:
    """As a request gives a question."""

    query_params: QueryDict
    user: Any
    accepted_renderer: Any = field(default_factory=lambda: SimpleNamespace(format="csv"))


def check_query(route: str, text: str, owner: Any) -> bool:
    """Whether it asks for readings themselves. Raises ValidationError about the field `query` that says what is wrong."""
    query = _parsed(text)
    known = _PARAMETERS[SavedQuery.Route(route)]
    for name in query:
        if name in ("start", "end"):
            _wrong(f"Leave {name} out: the export says which period.")
        if name not in known:
            _wrong(f"A file cannot be asked for {name[:40]!r}; known are {', '.join(known)}.")
    now = timezone.now()
    try:
        _ask(route, query, owner, now - timedelta(days=1), now, "UTC")
    except ValidationError as error:
        detail: Any = error.detail
        ((name, said),) = list(detail.items())[:1]
        _wrong(f"{name}: {said[0]}")
    except NotFound as error:
        _wrong(str(error.detail))
    return is_raw(route, text)


def is_raw(route: str, text: str) -> bool:
    """Whether it asks for the readings themselves."""
    return route == SavedQuery.Route.READINGS or _parsed(text).get("bucket") == "raw"


def kept_query(text: str) -> str:
    """What a file can be asked for of the query of a page's URL: without its period and how it is shown."""
    query = QueryDict(text.partition("?")[2] or text, mutable=True)
    for name in _OF_PAGES:
        query.pop(name, None)
    return query.urlencode()


def question_of(saved: SavedQuery, user: Any, start: datetime, end: datetime, zone: str) -> Question:
    """The question about [start, end), asked by this person now. Calendar buckets and times of CSV are those of `zone`
    unless the query says another.

    Raises ExportRefused where it cannot be asked (any more).
    """
    try:
        return _ask(saved.route, _parsed(saved.query), user, start, end, zone)
    except ValidationError as error:
        detail: Any = error.detail
        name, said = next(iter(detail.items()))
        raise ExportRefused(f"The saved query cannot be asked: {name}: {said[0]}") from error
    except NotFound as error:
        raise ExportRefused(f"The saved query cannot be asked: {error.detail}") from error


def _ask(route: str, query: QueryDict, user: Any, start: datetime, end: datetime, zone: str) -> Question:
    asked = query.copy()
    if route == SavedQuery.Route.READINGS:
        asked["bucket"] = "raw"
    if not asked.get("tz"):
        asked["tz"] = zone
    asked["start"], asked["end"] = (f"{as_microseconds(moment)}" for moment in (start, end))
    return asked_of(cast(Request, _Asked(asked, user))).question


def _parsed(text: str) -> QueryDict:
    if len(text) > MAX_QUERY:
        _wrong(f"A query has at most {MAX_QUERY:,} characters.")
    try:
        return QueryDict(text.strip().lstrip("?"))
    except TooManyFieldsSent:
        _wrong("These are too many names for one query: say a group of devices instead.")


def _wrong(detail: str) -> NoReturn:
    raise ValidationError({"query": detail}, "invalid")
