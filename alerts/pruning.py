"""Old alerts are removed, where operations ask for that: ended ones, with their timelines and what was sent of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

__all__ = ["prune_alerts"]

_AT_ONCE = 2000
_OLD = """
SELECT id FROM alerts_alert WHERE state NOT IN ('open', 'acknowledged') AND opened_at < %s AND ended_at < %s
ORDER BY opened_at, id LIMIT %s
"""
#: In this order: rows that others refer to come last.
_REMOVE = [
    "DELETE FROM alerts_messagealert WHERE alert_id = ANY(%s)",
    "DELETE FROM alerts_heldalert WHERE alert_id = ANY(%s)",
    "DELETE FROM alerts_alertevent WHERE alert_id = ANY(%s)",
    "DELETE FROM alerts_alert WHERE id = ANY(%s)",
]
_OLD_MESSAGES = """
SELECT id FROM alerts_message m WHERE state IN ('sent', 'failed') AND created_at < %s
    AND NOT EXISTS (SELECT 1 FROM alerts_messagealert i WHERE i.message_id = m.id)
LIMIT %s
"""
_REMOVE_MESSAGES = [
    "DELETE FROM alerts_channelattempt WHERE message_id = ANY(%s)",
    "DELETE FROM alerts_message WHERE id = ANY(%s)",
]


def prune_alerts(keep_days: int, now: datetime | None = None) -> int:
    """Remove alerts that ended more than so many days ago, and messages that name none any more; 0 keeps them for ever.

    Some at a time, so that nobody waits for long. Answers how many alerts that were.
    """
    if not keep_days:
        return 0
    before = (now or timezone.now()) - timedelta(days=keep_days)
    removed = _remove_all(_OLD, [before, before], _REMOVE)
    _remove_all(_OLD_MESSAGES, [before], _REMOVE_MESSAGES)
    return removed


def _remove_all(select: str, parameters: list[datetime], statements: list[str]) -> int:
    removed = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(select, [*parameters, _AT_ONCE])
            ids = [row[0] for row in cursor.fetchall()]
            for statement in statements:
                cursor.execute(statement, [ids])
        removed += len(ids)
        if len(ids) < _AT_ONCE:
            return removed
