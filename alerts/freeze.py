"""Freezing a message at its first claim: from then on its content is what every attempt sends."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F

from alerts.content import compose, named
from alerts.inhibition import inhibited_by, silent_gateways
from alerts.models import Alert, AlertEvent, Message, MessageAlert
from alerts.outbox import Holder, hold, note
from alerts.subject import load_subjects
from thresholds.models import Condition

__all__ = ["freeze"]


def freeze(message: Message, now: datetime) -> bool:
    """Make the content of a claimed message, in the claim's transaction; False where no alert is left to name."""
    if message.kind == Message.Kind.OPENING:
        _leave_out_inhibited(message, now)
    if message.kind in (Message.Kind.REPEAT, Message.Kind.ESCALATION, Message.Kind.SUMMARY):
        # What ended, or was acknowledged, since the message was made is nothing to remind of.
        wanted = Alert.LIVE if message.kind == Message.Kind.SUMMARY else (Alert.State.OPEN,)
        MessageAlert.objects.filter(message=message).exclude(alert__state__in=wanted).delete()
    items = (
        MessageAlert.objects.filter(message=message)
        .select_related("alert")
        .annotate(event_kind=F("event__kind"))
        .order_by("-alert__severity", "alert__opened_at", "alert_id")
    )
    base = settings.PLATFORM.public_url or ""
    alerts = [named(item.alert, item.event_kind, base.rstrip("/")) for item in items]
    if not alerts:
        return False
    over = [alert["id"] for alert in alerts if alert["state"] not in Alert.LIVE]
    if over:
        MessageAlert.objects.filter(message=message, alert_id__in=over).update(ended=True)
    about = str((message.content or {}).get("about", ""))
    route = message.route.name if message.route else ""
    message.content = compose(message.kind, alerts, route, about, message.step)
    message.frozen_at = now
    message.give_up_at = now + timedelta(hours=settings.PLATFORM.alert_retry_hours)
    return True


def _leave_out_inhibited(message: Message, now: datetime) -> None:
    """A gateway's alert may come a little later than those of its devices: while the message waited it may have."""
    silent = MessageAlert.objects.filter(
        message=message, alert__condition=Condition.SILENT, alert__state__in=Alert.LIVE
    )
    subjects = load_subjects(list(silent.values_list("alert_id", flat=True)))
    gateways = silent_gateways(subjects.values())
    held = {}
    for alert, subject in subjects.items():
        if gateway := inhibited_by(gateways, subject):
            text = f"Its gateway {gateway} is silent itself, which has an alert of its own."
            held[alert] = Holder("gateway", None, subject.parent_id, text)
    if held:
        MessageAlert.objects.filter(message=message, alert_id__in=list(held)).delete()
        note(AlertEvent.Kind.SUPPRESSED, [(alert, holder.reason) for alert, holder in held.items()], now)
        hold(held, now)
