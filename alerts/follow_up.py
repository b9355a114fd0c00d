"""What becomes due by time alone: repeats, escalation steps, and what is no longer held back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from alerts.dispatch import Rules, holder_of
from alerts.holding import release
from alerts.inhibition import silent_gateways
from alerts.models import Message
from alerts.outbox import add_items, alone, make_message
from alerts.routing import RouteRule, StepRule
from alerts.subject import load_subjects

__all__ = ["escalate", "follow_up", "repeat"]

# Alerts that nobody has acknowledged, each with a channel that was told of it and the number of its next repeat. While a
# message to that channel is still being tried there is none: a receiver that comes back is not flooded.
_REPEATS = """
SELECT i.alert_id, m.channel_id, count(*) FILTER (WHERE m.kind = 'repeat') + 1
FROM alerts_alert a JOIN alerts_messagealert i ON i.alert_id = a.id JOIN alerts_message m ON m.id = i.message_id
WHERE a.state = 'open' AND NOT a.flapping AND m.route_id = %s AND m.channel_id = ANY(%s)
  AND m.kind IN ('opening', 'summary', 'repeat')
GROUP BY i.alert_id, m.channel_id
HAVING bool_and(m.state IN ('sent', 'failed')) AND max(coalesce(m.sent_at, m.frozen_at)) <= %s
"""
# Alerts that nobody has acknowledged so long after the route told of them, and that this step has not told of.
_ESCALATIONS = """
SELECT i.alert_id
FROM alerts_alert a JOIN alerts_messagealert i ON i.alert_id = a.id JOIN alerts_message m ON m.id = i.message_id
WHERE a.state = 'open' AND NOT a.flapping AND m.route_id = %s AND m.kind IN ('opening', 'summary')
  AND m.frozen_at <= %s
  AND NOT EXISTS (
    SELECT 1 FROM alerts_messagealert j JOIN alerts_message n ON n.id = j.message_id
    WHERE j.alert_id = a.id AND n.route_id = m.route_id AND n.kind = 'escalation' AND n.step = %s)
GROUP BY i.alert_id
"""


def follow_up(now: datetime | None = None) -> None:
    """All of it, once. One process does so at a time; another that comes meanwhile goes away."""
    now = now or timezone.now()
    with transaction.atomic():
        # Under the lock of routing too: what it decides and what is decided here must not cross.
        if not alone("follow_up") or not alone("dispatch"):
            return
        release(now)
        rules = Rules.now((), now)
        for route in rules.routes:
            repeat(route, rules, now)
            for step in route.steps:
                escalate(route, step, rules, now)


def repeat(route: RouteRule, rules: Rules, now: datetime) -> int:
    """Say again what is open and unacknowledged: one message a channel and number of the repeat. Answers how many."""
    if route.repeat_seconds is None:
        return 0
    channels = [channel.channel_id for channel in route.channels if channel.enabled]
    before = now - timedelta(seconds=route.repeat_seconds)
    due: dict[tuple[int, int], list[int]] = defaultdict(list)
    rows = _rows(_REPEATS, [route.route_id, channels, before])
    free = _not_silenced([alert for alert, _, _ in rows], rules)
    for alert, channel, number in rows:
        if alert in free:
            due[channel, number].append(alert)
    for (channel, number), alerts in sorted(due.items()):
        add_items(make_message(Message.Kind.REPEAT.value, channel, route.route_id, now, number), alerts)
    return len(due)


def escalate(route: RouteRule, step: StepRule, rules: Rules, now: datetime) -> int:
    """Tell the channels of a step what nobody has acknowledged in its time. Answers how many messages that were."""
    channels = [channel.channel_id for channel in step.channels if channel.enabled]
    if not channels:
        return 0
    rows = _rows(_ESCALATIONS, [route.route_id, now - timedelta(seconds=step.after_seconds), step.number])
    free = _not_silenced([alert for (alert,) in rows], rules)
    if not free:
        return 0
    for channel in channels:
        about = {"about": f"Not acknowledged for {step.after_seconds / 60:g} minutes"}
        message = make_message(Message.Kind.ESCALATION.value, channel, route.route_id, now, step.number, about)
        add_items(message, sorted(free))
    return len(channels)


def _not_silenced(alerts: list[int], rules: Rules) -> set[int]:
    """Of these alerts those that nothing holds back now; the others' time comes when the silence is over."""
    if not alerts:
        return set()
    subjects = load_subjects(alerts)
    here = replace(rules, gateways=silent_gateways(subjects.values()))
    return {alert for alert, subject in subjects.items() if holder_of(here, subject) is None}


def _rows(statement: str, parameters: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
