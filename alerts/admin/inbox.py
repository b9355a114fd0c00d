"""The inbox: what is open, worst first; filters; and how many pages there are, counted to a bound."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.contrib.filters.admin import DropdownFilter

from alerts.api.alerts import visible_alerts
from alerts.models import Alert
from telemetry.admin.things import seen_group_paths
from telemetry.models import Device
from thresholds.models import Severity

__all__ = ["AssigneeFilter", "BoundedPaginator", "GroupFilter", "SeverityFilter", "StateFilter", "open_count"]

#: The sidebar says "99+" beyond.
_MOST_IN_BADGE = 99


class BoundedPaginator(Paginator):
    """Counts no further than this many rows: a million old alerts are found with filters, not by turning pages."""

    most = 20_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: self.most].count())


class StateFilter(DropdownFilter):
    """Live ones unless asked otherwise."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("open", "open, nobody has it"),
            ("acknowledged", "acknowledged"),
            ("ended", "cleared or resolved"),
            ("all", "all"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        match self.value():
            case "open" | "acknowledged" as state:
                return queryset.filter(state=state)
            case "ended":
                return queryset.exclude(state__in=Alert.LIVE)
            case "all":
                return queryset
        return queryset.filter(state__in=Alert.LIVE)


class SeverityFilter(DropdownFilter):
    title = "severity"
    parameter_name = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(severity.label, severity.label) for severity in reversed(Severity)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        value = self.value()
        return queryset.filter(severity=Severity[value.upper()]) if value in Severity.labels else queryset


class AssigneeFilter(DropdownFilter):
    title = "assignee"
    parameter_name = "assignee"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("me", "me"), ("none", "nobody"), ("others", "others")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        match self.value():
            case "me":
                return queryset.filter(assignee=request.user.pk)
            case "none":
                return queryset.filter(assignee=None)
            case "others":
                return queryset.exclude(assignee=None).exclude(assignee=request.user.pk)
        return queryset


class GroupFilter(DropdownFilter):
    """By the groups that devices are in now; a group with everything below it."""

    title = "group"
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return seen_group_paths(request)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        path = self.value()
        if not path:
            return queryset
        devices = Device.objects.filter(Q(group__path=path) | Q(group__path__startswith=f"{path}/"))
        return queryset.filter(device_id__in=devices.order_by().values("pk"))


def open_count(request: HttpRequest) -> str:
    """For the sidebar: how many nobody has acknowledged."""
    found = visible_alerts(request.user, Alert.objects.filter(state=Alert.State.OPEN)).order_by().values("pk")
    count = found[: _MOST_IN_BADGE + 1].count()
    return f"{_MOST_IN_BADGE}+" if count > _MOST_IN_BADGE else str(count)
