"""Severity and state of an alert as the admin shows them: a shape and a word, never a colour alone."""

from __future__ import annotations

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.models import Alert
from alerts.wording import amount, limit, roughly
from thresholds.models import Severity

__all__ = ["device_link", "limit_of", "severity_badge", "state_badge", "threshold_link", "value_of"]

_STATES = {
    Alert.State.OPEN: ("open", "●"),
    Alert.State.ACKNOWLEDGED: ("acknowledged", "◐"),
    Alert.State.CLEARED: ("cleared", "✓"),
    Alert.State.RESOLVED: ("resolved", "✓"),
}


def severity_badge(severity: int | None) -> SafeString | None:
    """thresholds.css puts its shape before the word."""
    if severity is None:
        return None
    name = Severity(severity).label
    return format_html('<span class="severity severity-{}">{}</span>', name, name)


def state_badge(alert: Alert) -> SafeString:
    name, shape = _STATES[Alert.State(alert.state)]
    badge = format_html('<span class="alert-state alert-state-{}">{} {}</span>', name, shape, name)
    if not alert.flapping:
        return badge
    return format_html('{} <span class="alert-state alert-state-flapping">{} flapping</span>', badge, "↯")


def value_of(alert: Alert) -> str:
    """The latest judged value with its unit."""
    if alert.condition == "silent":
        return "no value" if alert.value is None else f"silent for {roughly(alert.value)}"
    return amount(alert.value, alert.unit)


def limit_of(alert: Alert) -> str:
    """What the level that it stands at asks for."""
    return limit(alert.condition, alert.trigger, alert.unit)


def device_link(alert: Alert) -> SafeString | str:
    if not alert.device_id:
        return alert.device_name
    return format_html(
        '<a class="alert-link" href="{}">{}</a>',
        reverse("admin:telemetry_device_change", args=[alert.device_id]),
        alert.device_name,
    )


def threshold_link(alert: Alert) -> SafeString | str:
    if not alert.threshold_id:
        return alert.threshold_name
    return format_html(
        '<a class="alert-link" href="{}">{}</a>',
        reverse("admin:thresholds_threshold_change", args=[alert.threshold_id]),
        alert.threshold_name,
    )
