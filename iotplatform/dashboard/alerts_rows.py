"""One alert as lists and its own page show it: words, numbers with units, and what a small chart needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.urls import reverse

from alerts.models import Alert
from alerts.wording import amount, limit, roughly, span
from iotplatform.dashboard.sparkline import Limit, sparkline
from telemetry.query.recent import recent_means
from thresholds.models import Severity

__all__ = ["Row", "lines_of", "row_of", "rule_lines", "sparks_of", "version_of"]

#: Conditions whose triggers are values of the metric, so that they can be drawn as lines over it.
_NOT_VALUES = ("rate_above", "silent")
_HOUR = timedelta(hours=1)
#: A point of a small chart for each minute.
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Row:
    """What a template shows of an alert. ``version`` changes when anything of it does."""

    alert: Alert
    severity: str
    value: str
    limit: str
    #: The value furthest from what is safe; "" where none is known.
    worst: str
    #: How long it took until it ended; "" while it is live.
    lasted: str
    #: Whether there is a device and a metric to draw.
    drawn: bool
    device_url: str
    live: bool
    mine: bool
    version: str


def row_of(alert: Alert, user: Any) -> Row:
    return Row(
        alert=alert,
        severity=str(Severity(alert.severity).label),
        value=_value(alert),
        limit=limit(alert.condition, alert.trigger, alert.unit),
        worst="" if alert.extreme is None else _words(alert, alert.extreme),
        lasted="" if alert.ended_at is None else span(alert.opened_at, alert.ended_at),
        drawn=alert.device_id > 0,
        device_url=reverse("dashboard:device", args=[alert.device_name]) if alert.device_id > 0 else "",
        live=alert.state in Alert.LIVE,
        mine=alert.acknowledged_by_id == user.pk,
        version=version_of(alert),
    )


def lines_of(alert: Alert) -> list[list[Any]]:
    """[value, severity] of the level that it stands at; both ends of a range; none where it is no value."""
    if alert.condition in _NOT_VALUES or alert.trigger is None:
        return []
    return [[end, str(Severity(alert.severity).label)] for end in _ends(alert.trigger)]


def rule_lines(alert: Alert) -> list[list[Any]]:
    """[value, severity, whether it clears there] of every level of the threshold as it was when the alert opened."""
    rule = alert.rule if isinstance(alert.rule, dict) else {}
    if alert.condition in _NOT_VALUES:
        return []
    found: list[list[Any]] = []
    for level in rule.get("levels", []):
        triggers, clears = _ends(level.get("trigger")), _ends(level.get("clear"))
        found += [[value, level["severity"], False] for value in triggers]
        found += [[value, level["severity"], True] for value in clears if value not in triggers]
    return found or [[*line, False] for line in lines_of(alert)]


def _ends(value: Any) -> list[float]:
    if value is None:
        return []
    return [end for end in value if end is not None] if isinstance(value, list) else [value]


def sparks_of(alerts: Sequence[Alert], now: datetime) -> dict[int, str]:
    """SVG by alert: the last hour of its series with the limit that it stands at; none for the platform's own."""
    drawn = [alert for alert in alerts if alert.device_id > 0]
    means = recent_means([alert.series_id for alert in drawn], now - _HOUR, now, _POINTS)
    return {
        alert.pk: sparkline(
            _joined(means.get(alert.series_id, ())),
            [Limit(float(value), severity) for value, severity in lines_of(alert)],
            f"{alert.metric} of the last hour",
        )
        for alert in drawn
    }


def _joined(means: Sequence[float | None]) -> list[tuple[float, float | None]]:
    """(place, mean) of the parts that have one; a gap where nothing came for three times as long as usual."""
    places = [place for place, mean in enumerate(means) if mean is not None]
    steps = sorted(later - earlier for earlier, later in pairwise(places))
    longest = 3 * steps[len(steps) // 2] if steps else 0
    points: list[tuple[float, float | None]] = []
    for place in places:
        if points and place - points[-1][0] > longest:
            points.append((place - 1, None))
        points.append((place, means[place]))
    # The line ends now and began an hour ago, wherever its first and last points are.
    edges: list[tuple[float, float | None]] = [(0, None), (_POINTS - 1, None)]
    return [*edges[: places[0] > 0], *points, *edges[1 : 1 + (places[-1] < _POINTS - 1)]] if places else []


def version_of(alert: Alert) -> str:
    """A short text that is another one as soon as the row would look different."""
    shown = (
        alert.state,
        alert.severity,
        alert.value,
        alert.trigger,
        alert.assignee_id,
        alert.acknowledged_by_id,
        alert.flapping,
        str(alert.ended_at),
    )
    return hashlib.blake2s(repr(shown).encode(), digest_size=6).hexdigest()


def _value(alert: Alert) -> str:
    """The latest judged value in words."""
    if alert.condition == "silent":
        return "no value" if alert.value is None else f"silent for {roughly(alert.value)}"
    return amount(alert.value, alert.unit)


def _words(alert: Alert, extreme: float) -> str:
    if alert.condition == "silent":
        return roughly(extreme)
    text = amount(extreme, alert.unit)
    return f"{text} per second" if alert.condition == "rate_above" else text
