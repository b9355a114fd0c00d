"""The outbox: messages that collect alerts until they are due, and the timeline rows that say what became of alerts.

Everything here is set-based, for storms: a thousand alerts cost a statement, not a thousand. All of it runs in the
caller's transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from alerts.models import AlertEvent, Message

__all__ = ["ONE_AT_A_TIME", "Holder", "add_items", "alone", "collect", "hold", "let_go", "make_message", "note"]

#: Keys of PostgreSQL's advisory locks, under which only one process routes, or looks after what is due, at a time.
ONE_AT_A_TIME = {"dispatch": 7_301_001, "follow_up": 7_301_002}

_COLLECT = """
INSERT INTO alerts_message (key, channel_id, route_id, kind, step, state, due_at, attempts, created_at)
VALUES (%s, %s, %s, %s, 0, 'collecting', %s, 0, %s)
ON CONFLICT (channel_id, route_id, kind, step) WHERE state = 'collecting' AND kind IN ('opening', 'recovery', 'flapping')
DO UPDATE SET due_at = least(alerts_message.due_at, excluded.due_at) RETURNING id
"""
_ITEMS = """
INSERT INTO alerts_messagealert (message_id, alert_id, event_id)
SELECT %s, item.alert, item.event FROM unnest(%s::bigint[], %s::bigint[]) AS item (alert, event)
ON CONFLICT (message_id, alert_id) DO NOTHING
"""
_NOTE = """
INSERT INTO alerts_alertevent (alert_id, kind, at, text)
SELECT row.alert, %s, %s, row.text FROM unnest(%s::bigint[], %s::text[]) AS row (alert, text)
"""
_HOLD = """
INSERT INTO alerts_heldalert (alert_id, silence_id, gateway_id, reason, since)
SELECT row.alert, row.silence, row.gateway, row.reason, %s
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[]) AS row (alert, silence, gateway, reason)
ON CONFLICT (alert_id) DO UPDATE SET
    silence_id = excluded.silence_id, gateway_id = excluded.gateway_id, reason = excluded.reason, free_since = NULL
"""


def alone(what: str) -> bool:
    """Take the lock of ONE_AT_A_TIME until the transaction ends; False where another process has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ONE_AT_A_TIME[what]])
        return bool(cursor.fetchone()[0])


def collect(kind: str, channel_id: int, route_id: int | None, group_seconds: float, now: datetime) -> int:
    """The message of this kind that collects for (channel, route), made if there is none; its id.

    The row stays locked until the transaction ends, so that it is not frozen meanwhile.
    """
    due = now + timedelta(seconds=group_seconds)
    with connection.cursor() as cursor:
        cursor.execute(_COLLECT, [uuid.uuid4(), channel_id, route_id, kind, due, now])
        return int(cursor.fetchone()[0])


def make_message(
    kind: str,
    channel_id: int,
    route_id: int | None,
    now: datetime,
    step: int = 0,
    about: Mapping[str, Any] | None = None,
) -> int:
    """A message of its own that is due at once; its id. ``about``: what its text needs beyond its alerts."""
    message = Message.objects.create(
        key=uuid.uuid4(),
        channel_id=channel_id,
        route_id=route_id,
        kind=kind,
        step=step,
        due_at=now,
        created_at=now,
        content=dict(about) if about else None,
    )
    return int(message.pk)


def add_items(message_id: int, alerts: Sequence[int], events: Sequence[int | None] | None = None) -> None:
    """Name these alerts in the message, each with the event that brought it; one that it names already is left."""
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, [message_id, list(alerts), list(events or [None] * len(alerts))])


def note(kind: AlertEvent.Kind, rows: Iterable[tuple[int, str]], now: datetime) -> None:
    """One timeline row each: (alert, text)."""
    rows = list(rows)
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE, [kind.value, now, [alert for alert, _ in rows], [text for _, text in rows]])


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds an alert back: a silence, or (by device id) its gateway. ``reason`` is for people."""

    kind: str
    silence_id: int | None
    gateway_id: int | None
    reason: str


def hold(holders: Mapping[int, Holder], now: datetime) -> None:
    """Remember by what these live alerts (by id) are held back."""
    if holders:
        columns: list[list[Any]] = [
            list(holders),
            [holder.silence_id for holder in holders.values()],
            [holder.gateway_id for holder in holders.values()],
            [holder.reason for holder in holders.values()],
        ]
        with connection.cursor() as cursor:
            cursor.execute(_HOLD, [now, *columns])


def let_go(alerts: Iterable[int]) -> None:
    """Nothing holds these alerts back any more: they are told now, or are over."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM alerts_heldalert WHERE alert_id = ANY(%s)", [list(alerts)])
