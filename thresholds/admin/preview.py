"""The preview in the admin: of what is stored, and of what the form says before it is saved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.http import urlencode
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from telemetry.models import Device
from telemetry.query.columns import Columns, columns_of
from telemetry.timeseries.engine import as_microseconds
from thresholds.admin.chart import Chart, draw, moment_text
from thresholds.level_order import SEVERITIES
from thresholds.matching import MatchingSeries, matching_series
from thresholds.notices import PreviewAlert
from thresholds.preview import MAX_READINGS, MAX_SERIES, Busy, Preview, TooExpensive, preview
from thresholds.quantities import duration, with_unit
from thresholds.rule import Rule

__all__ = ["RANGES", "PreviewForm", "previewed"]

RANGES = [("1", "24 hours"), ("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year")]
_LISTED = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One alert as the table shows it."""

    severity: str
    device: str
    series_id: int
    opened: str
    lasted: str
    extreme: str
    flapping: bool


class PreviewForm(forms.Form):
    """Which history: the last days, up to now or to the end of a day."""

    days = forms.ChoiceField(choices=RANGES, required=False, label="History", widget=UnfoldAdminSelectWidget())
    until = forms.DateField(required=False, label="Up to (empty: now)", widget=UnfoldAdminSingleDateWidget())

    def range(self, now: datetime) -> tuple[int, int]:
        """[start, end) in µs since 1970; the default where a field is wrong or empty."""
        given = self.cleaned_data if self.is_valid() else {}
        until = given.get("until")
        end = now if until is None else datetime.combine(until, time(), UTC) + timedelta(days=1)
        # Times before 1970 are not stored.
        start = max(as_microseconds(end) - int(given.get("days") or 30) * 86_400_000_000, 0)
        return start, max(as_microseconds(end), start + 1)


def previewed(
    rule: Rule, form: PreviewForm, chosen: str | None, devices: QuerySet[Device] | None = None
) -> dict[str, Any]:
    """What the template of a preview shows; ``chosen`` is the id of the series that is drawn (else the worst)."""
    now = timezone.now()
    start, end = form.range(now)
    try:
        found = preview(rule, start, end, as_microseconds(now), devices)
    except (TooExpensive, Busy) as error:
        return {"form": form, "problem": str(error)}
    series = _drawn(rule, found, chosen, devices)
    context = {"form": form, "found": found, "summary": _summary(found), "rows": _rows(found, rule), "series": series}
    context |= {
        "query": f"?{_query(form)}&",
        "more": max(0, found.openings - _LISTED),
        "max_series": MAX_SERIES,
        "range": _range_text(start, end),
    }
    if series is not None:
        read = columns_of(series.id, start, end, MAX_READINGS)
        context["chart"] = _chart(rule, found, series, read)
    return context


def _chart(rule: Rule, found: Preview, series: MatchingSeries, read: Columns) -> Chart:
    own = [alert for alert in found.alerts if alert.series.id == series.id]
    return draw(rule, read, own, found.start, found.end, series.unit)


def _drawn(rule: Rule, found: Preview, chosen: str | None, devices: QuerySet[Device] | None) -> MatchingSeries | None:
    """The series that was asked for, else the one with the most alerts, else the first."""
    known = {alert.series.id: alert.series for alert in found.alerts}
    if chosen and chosen.isascii() and chosen.isdecimal() and int(chosen) in known:
        return known[int(chosen)]
    if known:
        counts = {number: sum(alert.series.id == number for alert in found.alerts) for number in known}
        return known[max(counts, key=lambda number: counts[number])]
    return next(iter(matching_series(rule, 1, devices).series), None)


def _summary(found: Preview) -> str:
    """Such as "12 alerts on 3 devices, 8 messages to a channel"."""
    if not found.matching:
        return "No series matches: no enabled device in its scope has sent this metric."
    if not found.openings:
        return f"No alert on {_count(found.judged, 'series', 'series')}."
    devices = len({alert.series.device for alert in found.alerts})
    more = "at least " if found.openings > len(found.alerts) else ""
    alerts, messages = _count(found.openings, "alert"), _count(found.notifications, "message")
    return f"{alerts} on {more}{_count(devices, 'device')}; {messages} to a channel that hears of all of them."


def _rows(found: Preview, rule: Rule) -> list[Row]:
    return [_row(alert, rule, found.end) for alert in found.alerts[:_LISTED]]


def _row(alert: PreviewAlert, rule: Rule, end: int) -> Row:
    until = end if alert.ended_at is None else alert.ended_at
    lasted = duration(round((until - alert.opened_at) / 1e6, 0 if until - alert.opened_at > 60_000_000 else 3))
    return Row(
        SEVERITIES[alert.severity - 1],
        alert.series.device,
        alert.series.id,
        moment_text(alert.opened_at),
        f"{lasted}, still open" if alert.ended_at is None else lasted,
        _extreme(alert, rule),
        alert.flapping_at is not None,
    )


def _extreme(alert: PreviewAlert, rule: Rule) -> str:
    rounded = float(f"{alert.extreme:.5g}")
    if rule.condition == "silent":
        return duration(float(round(alert.extreme)))
    text = with_unit(rounded, alert.series.unit)
    return f"{text} per second" if rule.condition == "rate_above" else text


def _query(form: PreviewForm) -> str:
    """The range as the address of the page says it."""
    return urlencode({name: form.data.get(name, "") for name in ("days", "until")})


def _range_text(start: int, end: int) -> str:
    minute = 60_000_000
    return f"{moment_text(start // minute * minute)} to {moment_text(end // minute * minute)} UTC"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
