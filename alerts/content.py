"""What a message says: made once, when it is frozen, from its alerts as they are then. Pure.

``{"kind", "subject", "text", "alerts": [...], "count", "route", "about"}``; each alert as in docs/alerting-webhook.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from alerts.models import Alert, AlertEvent, Message
from alerts.wording import amount, limit
from thresholds.models import Condition, Severity

__all__ = ["compose", "compose_test", "named"]

_SHAPES = {Severity.INFO: "○", Severity.WARNING: "△", Severity.MAJOR: "◇", Severity.CRITICAL: "◆"}
_OVER = "✓"
_PLACEHOLDER = re.compile(r"\{(device|metric|value|unit|threshold|severity)\}")
_Kind = Message.Kind
#: What happened, for one alert and for many.
_HEADINGS = {
    _Kind.OPENING: ("", "{n} alerts opened"),
    _Kind.REPEAT: ("Still open: ", "{n} alerts still open"),
    _Kind.ESCALATION: ("Nobody acknowledged: ", "Nobody acknowledged {n} alerts"),
    _Kind.RECOVERY: ("Over: ", "{n} alerts are over"),
    _Kind.FLAPPING: ("Flapping: ", "{n} alerts are flapping"),
    _Kind.SUMMARY: ("Still open after a silence: ", "{n} alerts still open after a silence"),
}
_NOTES = {
    _Kind.FLAPPING: "It opened too often in a short time. It stays open until it is quiet; nothing more is sent till then.",
}


def named(alert: Alert, event_kind: str | None, base_url: str) -> dict[str, Any]:
    """One alert as messages name it."""
    severity = Severity(alert.severity)
    return {
        "id": alert.pk,
        "threshold": alert.threshold_name,
        "device": alert.device_name,
        "metric": alert.metric,
        "unit": alert.unit,
        "condition": alert.condition,
        "state": alert.state,
        "severity": severity.label,
        "highest_severity": Severity(alert.highest_severity).label,
        "event": event_kind,
        "trigger": alert.trigger,
        "value": alert.value,
        "extreme": alert.extreme,
        "opened_at": _iso(alert.opened_at),
        "acknowledged_at": _iso(alert.acknowledged_at),
        "ended_at": _iso(alert.ended_at),
        "end_reason": alert.end_reason,
        "flapping": alert.flapping,
        "message": _from_template(alert),
        "url": f"{base_url}/alerts/{alert.pk}/" if base_url else None,
    }


def compose(
    kind: str, alerts: Sequence[Mapping[str, Any]], route: str = "", about: str = "", step: int = 0
) -> dict[str, Any]:
    """The message that names these alerts (at least one), the worst first."""
    one, many = _HEADINGS[_Kind(kind)]
    single = len(alerts) == 1
    subject = f"{one}{_title(alerts[0])}" if single else f"{many.format(n=len(alerts))}: {_tally(alerts)}"
    head = [subject, *([f"{about}."] if about else []), *([_NOTES[_Kind(kind)]] if _Kind(kind) in _NOTES else [])]
    text = "\n".join([*head, "", *(line(alert) for alert in alerts)])
    return {
        "kind": str(kind),
        "step": step,
        "subject": subject.replace("\r", " ").replace("\n", " "),
        "text": text,
        "route": route,
        "about": about,
        "count": len(alerts),
        "alerts": list(alerts),
    }


def compose_test(channel: str, who: str) -> dict[str, Any]:
    """What the test button sends."""
    subject = f"Test of the channel {channel}"
    text = f"{subject}\n\nSent by {who}. Alerts that are routed to this channel will arrive here."
    return {
        "kind": "test",
        "step": 0,
        "subject": subject,
        "text": text,
        "route": "",
        "about": "",
        "count": 0,
        "alerts": [],
    }


def line(alert: Mapping[str, Any]) -> str:
    """An alert in one line of plain text (two, where its threshold has a message)."""
    over = alert["state"] not in Alert.LIVE
    shape = _OVER if over else _SHAPES[Severity[alert["severity"].upper()]]
    parts = [
        f"{shape} {alert['severity']}  {_title(alert, with_severity=False)}",
        f"since {_clock(alert['opened_at'])}",
    ]
    if alert["event"] == AlertEvent.Kind.RAISED and not over:
        parts.append("raised")
    if over:
        why = f" ({alert['end_reason']})" if alert["end_reason"] else ""
        parts.append(f"{alert['state']} {_clock(alert['ended_at'])}{why}")
    elif alert["state"] == Alert.State.ACKNOWLEDGED:
        parts.append("acknowledged")
    text = ", ".join(parts)
    return f"{text}\n    {alert['message']}" if alert["message"] else text


def _title(alert: Mapping[str, Any], *, with_severity: bool = True) -> str:
    head = f"[{alert['severity']}] " if with_severity else ""
    return f"{head}{alert['threshold']}: {alert['device']} {_measured(alert)}".rstrip()


def _measured(alert: Mapping[str, Any]) -> str:
    stands = limit(alert["condition"], alert["trigger"], alert["unit"])
    if alert["condition"] == Condition.SILENT:
        return f"{alert['metric']} {stands}"
    value = "" if alert["value"] is None else f" {amount(alert['value'], alert['unit'])}"
    return f"{alert['metric']}{value}" + (f" ({stands})" if stands else "")


def _tally(alerts: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(alert["severity"] for alert in alerts)
    order = [severity.label for severity in reversed(Severity)]
    return ", ".join(f"{counts[name]} {name}" for name in order if counts[name])


def _from_template(alert: Alert) -> str:
    """The threshold's own message with its placeholders filled; others stay as they are."""
    template = alert.rule.get("message") if isinstance(alert.rule, dict) else None
    if not isinstance(template, str) or not template:
        return ""
    values = {
        "device": alert.device_name,
        "metric": alert.metric,
        "value": "" if alert.value is None else f"{alert.value:.6g}",
        "unit": alert.unit,
        "threshold": alert.threshold_name,
        "severity": Severity(alert.severity).label,
    }
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _clock(iso: str | None) -> str:
    return "" if iso is None else f"{iso[:10]} {iso[11:19]} UTC"
