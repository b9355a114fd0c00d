"""The list of thresholds: each with its sentence, how many alerts it has open, and a switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, QueryDict
from rest_framework.exceptions import ValidationError

from alerts.models import Alert
from iotplatform.dashboard.alerts_inbox import problem_in, visible_alerts
from telemetry.sight import of_visible_scopes, within_sight
from thresholds import edit
from thresholds.api.filters import FILTERS, filtered
from thresholds.document import document
from thresholds.late import LateSum, late_sums
from thresholds.metric_units import MetricUnits
from thresholds.models import Severity, Threshold
from thresholds.sentence import sentence

__all__ = ["SCOPE_NAMES", "Row", "ThresholdList", "visible_thresholds"]

PAGE = 50
_NAMES = tuple(parameter.name for parameter in FILTERS)
_SCOPES = {
    "device": Q(device__isnull=False),
    "device_type": Q(device_type__isnull=False),
    "group": Q(group__isnull=False),
    "all": Q(all_devices=True),
}
SCOPE_NAMES = (("device", "One device"), ("device_type", "Device types"), ("group", "Groups"), ("all", "All devices"))
#: Filters that the form has a field for; the others are shown as chips.
_WITH_FIELDS = ("q", "metric", "condition", "enabled")


@dataclass(frozen=True, slots=True)
class Row:
    """What the list shows of a threshold."""

    threshold: Threshold
    sentence: str
    #: The worst first.
    severities: list[str]
    open_alerts: int
    worst: str
    late: LateSum | None
    #: Whether all that it concerns is in sight of this person, so that he may change it.
    own: bool


def visible_thresholds(user: Any) -> QuerySet[Threshold]:
    """Those that may concern a device which this person sees, as the REST list has them."""
    return of_visible_scopes(edit.thresholds(), user)


class ThresholdList:
    """What the query of the page asks for. ``problem`` says what is wrong with it, "" where nothing is."""

    def __init__(self, request: HttpRequest) -> None:
        self.user: Any = request.user
        self.asked = request.GET
        self.problem = ""
        query = QueryDict(mutable=True)
        for name in _NAMES:
            if value := self.asked.get(name, "").strip():
                query[name] = value.encode(errors="replace").decode()
        self.filters = query.dict()
        self.scope = self.asked.get("scope", "")
        try:
            found = filtered(visible_thresholds(self.user), _Asked(self.user, query))  # type: ignore[arg-type]
        except ValidationError as error:
            self.problem = problem_in(error)
            found = visible_thresholds(self.user).none()
        if self.scope in _SCOPES:
            found = found.filter(_SCOPES[self.scope])
        self.page = Paginator(found.order_by("name", "id"), PAGE).get_page(self.asked.get("page"))

    @property
    def narrowed(self) -> bool:
        return bool(self.filters or self.scope in _SCOPES)

    @property
    def chips(self) -> list[tuple[str, str]]:
        return [(name, str(value)) for name, value in self.filters.items() if name not in _WITH_FIELDS]

    def query(self) -> str:
        """The query of the page without the number of the page."""
        kept = QueryDict(mutable=True)
        kept.update({name: str(value) for name, value in self.asked.items() if name != "page" and value})
        return kept.urlencode()

    def rows(self) -> list[Row]:
        shown = list(self.page)
        units, late = MetricUnits(each.metric for each in shown), late_sums(each.pk for each in shown)
        numbers = [each.pk for each in shown]
        alerts = self._open_alerts(numbers)
        own = set(Threshold.objects.filter(within_sight(self.user), pk__in=numbers).values_list("pk", flat=True))
        return [
            self._row(each, units, late.get(each.pk), alerts.get(each.pk, {}), own=each.pk in own) for each in shown
        ]

    def _row(
        self, threshold: Threshold, units: MetricUnits, late: LateSum | None, alerts: dict[int, int], *, own: bool
    ) -> Row:
        overridden = threshold.overrides.name if threshold.overrides else None
        severities = sorted((level.severity for level in threshold.levels.all()), reverse=True)
        return Row(
            threshold,
            sentence(document(threshold), units.of(threshold), overridden),
            [str(Severity(each).label) for each in severities],
            sum(alerts.values()),
            str(Severity(max(alerts)).label) if alerts else "",
            late,
            own,
        )

    def _open_alerts(self, thresholds: list[int]) -> dict[int, dict[int, int]]:
        """Live alerts by threshold and severity."""
        live = visible_alerts(self.user).filter(threshold_id__in=thresholds, state__in=Alert.LIVE).order_by()
        found: dict[int, dict[int, int]] = {}
        for threshold, severity, number in live.values_list("threshold_id", "severity").annotate(number=Count("pk")):
            found.setdefault(threshold, {})[severity] = number
        return found


class _Asked:
    """A query as the REST list reads it."""

    def __init__(self, user: Any, query: QueryDict) -> None:
        self.user = user
        self.query_params = query
