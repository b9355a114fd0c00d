"""Route what is new: every change of an alert that somebody may have to hear of, once, in the order it happened.

silences ▸ gateways ▸ routes ▸ messages that collect. What is held back says so in the alert's timeline.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from alerts import measures
from alerts.inhibition import inhibited_by, silent_gateways
from alerts.models import AlertEvent, Message
from alerts.outbox import Holder, add_items, alone, collect, hold, let_go, note
from alerts.routing import RouteRule, Way, load_routes, matching, ways
from alerts.silencing import SilenceRule, active_silences, silence_of
from alerts.subject import Subject, load_subjects

__all__ = ["Decisions", "Rules", "decide", "dispatch", "holder_of", "ways_of", "write"]

logger = logging.getLogger(__name__)
_BATCH = 5000
#: Silence is looked for every 10 s at least: a gateway's alert may follow those of its devices by as much.
_GATEWAY_SECONDS = 12.0
_Kind = AlertEvent.Kind

IMPORTED = "Recorded by an import: nobody is told."
LATE = "It was over before the series caught up with the clock: nobody is told."
NO_ROUTE = "No route matches it: nobody is told."

_CLAIM = """
SELECT e.id, e.alert_id, e.kind, e.kind <> 'raised' OR e.severity > (
    SELECT coalesce(max(b.severity), 0) FROM alerts_alertevent b
    WHERE b.alert_id = e.alert_id AND b.id < e.id AND b.kind IN ('opened', 'raised'))
FROM alerts_alertevent e JOIN alerts_alert a ON a.id = e.alert_id LEFT JOIN telemetry_device d ON d.id = a.device_id
WHERE e.unrouted AND (
    a.imported OR a.state NOT IN ('open', 'acknowledged')
    OR (a.caught_up AND NOT (a.condition = 'silent' AND d.parent_id IS NOT NULL AND e.at > %s)))
ORDER BY e.id LIMIT %s FOR UPDATE OF e SKIP LOCKED
"""
# Whoever was told that it opened, and not in the same breath that it was over.
_TOLD = """
SELECT DISTINCT ON (i.alert_id, m.channel_id) i.alert_id, m.channel_id, m.route_id
FROM alerts_messagealert i JOIN alerts_message m ON m.id = i.message_id LEFT JOIN alerts_route r ON r.id = m.route_id
WHERE i.alert_id = ANY(%s) AND NOT i.ended AND m.frozen_at IS NOT NULL AND m.state <> 'failed'
  AND m.kind IN ('opening', 'flapping', 'summary', 'escalation', 'repeat') AND coalesce(r.recovery, true)
ORDER BY i.alert_id, m.channel_id, m.id
"""
_LOCK_COLLECTING = """
SELECT m.id FROM alerts_message m WHERE m.frozen_at IS NULL
  AND EXISTS (SELECT 1 FROM alerts_messagealert i WHERE i.message_id = m.id AND i.alert_id = ANY(%s))
ORDER BY m.id FOR SHARE
"""


@dataclass(slots=True)
class Event:
    event_id: int
    alert_id: int
    kind: str
    #: Not so of a raise to a severity that the alert has had before.
    news: bool


@dataclass(slots=True)
class Decisions:
    """What becomes of some alerts. Items: (kind of message, channel, route) → {alert: event}."""

    items: dict[tuple[str, int, int], dict[int, int | None]] = field(default_factory=lambda: defaultdict(dict))
    group_seconds: dict[int, float] = field(default_factory=dict)
    suppressed: list[tuple[int, str]] = field(default_factory=list)
    held: dict[int, Holder] = field(default_factory=dict)
    told: set[int] = field(default_factory=set)

    def suppress(self, subject: Subject, reason: str, text: str) -> None:
        self.suppressed.append((subject.alert_id, text))
        measures.alerts_suppressed.labels(reason).inc()


@dataclass(slots=True)
class Rules:
    """What holds at one moment."""

    silences: list[SilenceRule]
    gateways: dict[int, str]
    routes: list[RouteRule]

    @classmethod
    def now(cls, subjects: Iterable[Subject], now: datetime) -> Rules:
        return cls(active_silences(now), silent_gateways(subjects), load_routes())


def dispatch(now: datetime | None = None) -> int:
    """Route everything that is new; answers how many events that were. One process does so at a time."""
    total = 0
    while routed := _dispatch_batch(now or timezone.now()):
        total += routed
        if routed < _BATCH:
            break
    if total:
        logger.info("alerts_dispatched", extra={"events": total})
    return total


@transaction.atomic
def _dispatch_batch(now: datetime) -> int:
    if not alone("dispatch"):
        return 0
    with connection.cursor() as cursor:
        # Few of years of alerts, by their indexes; in a storm statistics know nothing of those that are new.
        cursor.execute("SET LOCAL enable_seqscan = off")
    events = _claim(now)
    if not events:
        return 0
    subjects = load_subjects(sorted({event.alert_id for event in events}))
    rules = Rules.now(subjects.values(), now)
    decisions = Decisions()
    ended = []
    flapping = {event.alert_id for event in events if event.kind == _Kind.FLAPPING}
    for event in events:
        subject = subjects[event.alert_id]
        if event.kind in (_Kind.CLEARED, _Kind.RESOLVED):
            ended.append(event)
        elif _worth_telling(event, subject, decisions, flapping):
            kind = Message.Kind.FLAPPING if event.kind == _Kind.FLAPPING else Message.Kind.OPENING
            decide(decisions, subject, kind.value, event.event_id, rules)
    write(decisions, now)
    _tell_endings(ended, now)
    with connection.cursor() as cursor:
        ids = [event.event_id for event in events]
        cursor.execute("UPDATE alerts_alertevent SET unrouted = false WHERE id = ANY(%s)", [ids])
    measures.events_routed.inc(len(events))
    return len(events)


def _claim(now: datetime) -> list[Event]:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [now - timedelta(seconds=_GATEWAY_SECONDS), _BATCH])
        return [Event(*row) for row in cursor.fetchall()]


def _worth_telling(event: Event, subject: Subject, decisions: Decisions, flapping: set[int]) -> bool:
    """Whether this is a thing to tell at all, whoever may want to hear of it."""
    if subject.imported or not subject.caught_up:
        if event.kind == _Kind.OPENED:
            reason, text = ("import", IMPORTED) if subject.imported else ("late", LATE)
            decisions.suppress(subject, reason, text)
        return False
    if event.kind == _Kind.OPENED:
        # The notice that it flaps tells of this opening too; it may come with the next batch.
        return not subject.flapping and subject.alert_id not in flapping
    if event.kind == _Kind.RAISED:
        return event.news and subject.live and not subject.flapping
    return True


def decide(decisions: Decisions, subject: Subject, kind: str, event_id: int | None, rules: Rules) -> None:
    """Who is told of an alert, or why nobody is."""
    if holder := holder_of(rules, subject):
        decisions.suppress(subject, holder.kind, holder.reason)
        if subject.live:
            decisions.held[subject.alert_id] = holder
            decisions.told.discard(subject.alert_id)
        return
    decisions.held.pop(subject.alert_id, None)
    decisions.told.add(subject.alert_id)
    for way in ways_of(decisions, subject, rules):
        key = (kind, way.channel.channel_id, way.route.route_id)
        decisions.items[key].setdefault(subject.alert_id, event_id)
        decisions.group_seconds[way.route.route_id] = way.route.group_seconds


def holder_of(rules: Rules, subject: Subject) -> Holder | None:
    """What holds an alert back just now; None where nothing does."""
    if silence := silence_of(rules.silences, subject):
        return Holder("silence", silence.silence_id, None, silence.sentence)
    if gateway := inhibited_by(rules.gateways, subject):
        text = f"Its gateway {gateway} is silent itself, which has an alert of its own."
        return Holder("gateway", None, subject.parent_id, text)
    return None


def ways_of(decisions: Decisions, subject: Subject, rules: Rules) -> list[Way]:
    """Through which channels an alert goes; where there is none, its timeline will say why."""
    taken = matching(rules.routes, subject)
    found = ways(taken)
    if not found:
        names = ", ".join(route.name for route in taken)
        text = f"No channel of its route ({names}) is switched on: nobody is told." if taken else NO_ROUTE
        decisions.suppress(subject, "route", text)
    return found


def write(decisions: Decisions, now: datetime) -> None:
    """Into messages and timelines, in the caller's transaction."""
    # In one order everywhere, so that two transactions never wait for each other.
    for kind, channel, route in sorted(decisions.items):
        alerts = decisions.items[kind, channel, route]
        message = collect(kind, channel, route, decisions.group_seconds.get(route, 0.0), now)
        add_items(message, list(alerts), list(alerts.values()))
    note(_Kind.SUPPRESSED, decisions.suppressed, now)
    hold(decisions.held, now)
    if decisions.told:
        let_go(decisions.told)


def _tell_endings(events: list[Event], now: datetime) -> None:
    """A recovery notice to whoever was told of the opening; what was held back is over."""
    if not events:
        return
    event_of = {event.alert_id: event.event_id for event in events}
    let_go(event_of)
    by_message: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        # A message that is being frozen just now has either read the ending, or is seen as frozen below.
        cursor.execute(_LOCK_COLLECTING, [list(event_of)])
        cursor.execute(_TOLD, [list(event_of)])
        rows: list[Any] = cursor.fetchall()
    for alert, channel, route in rows:
        by_message[channel, route].append(alert)
    seconds = {route.route_id: route.group_seconds for route in load_routes()}
    for (channel, route), alerts in sorted(by_message.items(), key=lambda item: (item[0][0], item[0][1] or 0)):
        wait = settings.PLATFORM.alert_group_seconds if route is None else seconds.get(route, 0.0)
        message = collect(Message.Kind.RECOVERY.value, channel, route, wait, now)
        add_items(message, alerts, [event_of[alert] for alert in alerts])
