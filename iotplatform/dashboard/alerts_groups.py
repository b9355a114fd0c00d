"""The inbox by device or by threshold: how many alerts each has, the worst first."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet

from alerts.models import Alert
from iotplatform.dashboard.alerts_inbox import Inbox
from thresholds.models import Severity

__all__ = ["Group", "addressed", "grouped"]

#: Groups of a page.
PAGE = 50


@dataclass(frozen=True, slots=True)
class Group:
    """The alerts of one device, or of one threshold."""

    name: str
    #: What the filter of the inbox calls it.
    value: str
    worst: str
    count: int
    unacknowledged: int
    flapping: int
    #: When the oldest of them opened.
    since: datetime
    #: Other things named by them: thresholds of a device, devices of a threshold.
    others: int
    #: JSON of the filter of those that nobody has acknowledged, and the query of the list of all of them.
    filter: str = ""
    query: str = ""


def grouped(alerts: QuerySet[Alert], by: str, page: int) -> tuple[list[Group], bool]:
    """One page (from 0 on) of the groups, ``by`` device or threshold, and whether there are more."""
    names = ("device_name", "device_id") if by == "device" else ("threshold_name", "threshold_id")
    rows: Any = alerts.order_by().values(*names)
    rows = rows.annotate(
        count=Count("pk"),
        worst=Max("severity"),
        unacknowledged=Count("pk", filter=Q(state=Alert.State.OPEN)),
        flapping_ones=Count("pk", filter=Q(flapping=True)),
        since=Min("opened_at"),
        others=Count("threshold_id" if by == "device" else "device_id", distinct=True),
    ).order_by("-worst", "-count", *names)
    found = list(rows[page * PAGE : (page + 1) * PAGE + 1])
    return [_group(row, *names) for row in found[:PAGE]], len(found) > PAGE


def addressed(groups: list[Group], inbox: Inbox) -> list[Group]:
    """The groups with how to ask for their alerts."""
    return [
        replace(
            group,
            filter=json.dumps({**inbox.filters, inbox.by: group.value, "state": Alert.State.OPEN}),
            query=inbox.query(**{inbox.by: group.value}, by="", page=""),
        )
        for group in groups
    ]


def _group(row: dict[str, Any], name: str, number: str) -> Group:
    value = row[name] if name == "device_name" else str(row[number])
    worst = str(Severity(row["worst"]).label)
    counts = (row["count"], row["unacknowledged"], row["flapping_ones"])
    return Group(row[name], value, worst, *counts, row["since"], row["others"])
