"""The inbox: which alerts a person asks for, page by page, and how many there are of each kind.

The address of the page is the whole of it: its filters are those of the REST list, so that what is shown and what an
action on "all that match" changes are the same alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.http import HttpRequest, QueryDict
from rest_framework.exceptions import ValidationError

from alerts.api.alert_filters import FILTERS, narrowed
from alerts.api.alerts import visible_alerts as of_sight
from alerts.api.pages import AlertPagination
from alerts.models import Alert
from thresholds.models import Severity

__all__ = ["Counts", "Inbox", "Page", "live_counts", "problem_in", "visible_alerts"]

#: Of a page: enough to work on, few enough to be drawn again every other second.
PAGE = 50
#: Counting stops there: "10,000+" says as much as a larger number.
MOST = 10_000
LIVE = ",".join(Alert.LIVE)
_STATES = (
    ("", "Live"),
    ("open", "Open, nobody has it"),
    ("acknowledged", "Acknowledged"),
    ("cleared,resolved", "Ended"),
    ("all", "All"),
)
_ORDERINGS = (("-severity", "Worst first"), ("-opened_at", "Newest first"), ("opened_at", "Oldest first"))
#: Filters that the form has a field for; the others are shown as chips.
_WITH_FIELDS = ("q", "state", "severity", "assignee", "group")
_NAMES = tuple(parameter.name for parameter in FILTERS)


def visible_alerts(user: Any) -> QuerySet[Alert]:
    """Those of the devices that this person sees; the platform's own only for whoever sees everything."""
    return of_sight(user, Alert.objects.all())


@dataclass(frozen=True, slots=True)
class Page:
    """Alerts as asked for, and the addresses (their query) of the pages beside, None where there is none."""

    alerts: list[Alert]
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Live alerts by severity (worst first), whatever the filters; and how many of them nobody has acknowledged."""

    by_severity: dict[str, int] = field(default_factory=dict)
    open: int = 0

    @property
    def live(self) -> int:
        return sum(self.by_severity.values())

    @property
    def worst(self) -> str:
        return next((name for name, number in self.by_severity.items() if number), "")


class Inbox:
    """What the query of the page asks for."""

    def __init__(self, request: HttpRequest) -> None:
        self.user: Any = request.user
        self.asked = request.GET
        #: As the REST list takes them, and an action on all that match.
        self.filters: dict[str, str] = {name: value for name in _NAMES if (value := ",".join(self._values(name)))}
        self.state = self.filters.pop("state", "")
        if self.state != "all":
            self.filters["state"] = self.state or LIVE
        #: What is wrong with the query, for people; "" where nothing is.
        self.problem = ""
        try:
            self._alerts = narrowed(visible_alerts(self.user), _Asked(self.user, self._query()))
        except ValidationError as error:
            self.problem = problem_in(error)
            self._alerts = Alert.objects.none()

    @property
    def history(self) -> bool:
        """Whether ended ones are among what is asked for: then the newest come first."""
        return self.state == "all" or bool(set(self.state.split(",")) & {Alert.State.CLEARED, Alert.State.RESOLVED})

    @property
    def by(self) -> str:
        """What the alerts are grouped by: "device", "threshold" or "" for not at all."""
        by = self.asked.get("by", "")
        return by if by in ("device", "threshold") else ""

    @property
    def ordering(self) -> str:
        return self.asked.get("ordering") or ("-opened_at" if self.history else "-severity")

    @property
    def chips(self) -> list[tuple[str, str, str]]:
        """(name, value, query without it) of the filters that have no field of their own."""
        chosen = {name: value for name, value in self.filters.items() if name not in _WITH_FIELDS}
        return [(name, value, self.query(**{name: ""})) for name, value in chosen.items()]

    @property
    def states(self) -> list[tuple[str, str]]:
        """What the field of the state offers."""
        known = dict(_STATES)
        return [*_STATES, *([] if self.state in known else [(self.state, self.state)])]

    @property
    def orderings(self) -> list[tuple[str, str]]:
        return list(_ORDERINGS)

    @property
    def query_ungrouped(self) -> str:
        return self.query(by="", page="")

    @property
    def query_by_device(self) -> str:
        return self.query(by="device", page="")

    @property
    def query_by_threshold(self) -> str:
        return self.query(by="threshold", page="")

    @property
    def narrowed(self) -> bool:
        """Whether anything but live alerts as such is asked for."""
        return bool(self.state or set(self.filters) - {"state"})

    @property
    def alerts(self) -> QuerySet[Alert]:
        return self._alerts

    def page(self) -> Page:
        """One page; an empty one where the query is wrong, and `problem` then says what."""
        if self.problem:
            return Page([])
        query = self._query() | {"ordering": self.ordering, "limit": str(PAGE)}
        if cursor := self.asked.get("cursor"):
            query["cursor"] = cursor
        rows = self._alerts.select_related("assignee", "acknowledged_by").defer("rule", "evidence")
        pagination = AlertPagination()
        try:
            found = pagination.paginate_queryset(rows, _Asked(self.user, query))  # type: ignore[arg-type]
        except ValidationError as error:
            self.problem = problem_in(error)
            return Page([])
        links = pagination.get_paginated_response([]).data
        return Page(found, self._beside(links["next"]), self._beside(links["previous"]))

    def total(self) -> int:
        """How many match, counted up to MOST + 1."""
        return int(self._alerts.order_by().values("pk")[: MOST + 1].count())

    def query(self, **changed: str) -> str:
        """The query of the page with some of it changed ("" takes it away), always from the first page on."""
        kept = {name: ",".join(self._values(name)) for name in self.asked if name != "cursor"}
        return urlencode({name: value for name, value in (kept | changed).items() if value})

    def _values(self, name: str) -> list[str]:
        return [value.strip() for value in self.asked.getlist(name) if value.strip()]

    def _query(self) -> dict[str, str]:
        return dict(self.filters)

    def _beside(self, link: str | None) -> str | None:
        """The query of this page with the cursor of a link of the REST list."""
        if not link:
            return None
        cursor = QueryDict(link.partition("?")[2]).get("cursor", "")
        return "&".join(part for part in (self.query(), cursor and urlencode({"cursor": cursor})) if part)


class _Asked:
    """A query as the REST list reads it."""

    def __init__(self, user: Any, wanted: dict[str, str]) -> None:
        self.user = user
        self.query_params = QueryDict(mutable=True)
        for name, value in wanted.items():
            # Half of a surrogate pair cannot be sent to the database, and matches nothing.
            self.query_params[name] = value.encode(errors="replace").decode()

    def build_absolute_uri(self) -> str:
        return f"?{self.query_params.urlencode()}"


def live_counts(user: Any) -> Counts:
    """Of all live alerts that this person sees."""
    rows = visible_alerts(user).filter(state__in=Alert.LIVE).order_by().values_list("severity", "state")
    by_severity = {severity.label: 0 for severity in reversed(Severity)}
    unacknowledged = 0
    for severity, state, number in rows.annotate(number=Count("pk")):
        by_severity[str(Severity(severity).label)] += number
        unacknowledged += number if state == Alert.State.OPEN else 0
    return Counts(by_severity, unacknowledged)


def problem_in(error: ValidationError) -> str:
    """What is wrong, without the names of parameters."""
    detail: Any = error.detail
    found = next(iter(detail.values())) if isinstance(detail, dict) else detail
    return str(found[0] if isinstance(found, list) else found)
