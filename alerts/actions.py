"""What people do with alerts: acknowledge and take it back, assign, comment, resolve; one alert or thousands.

Of two people who do the same at once one wins, and the other is told who it was. Nobody waits for an alert while holding
others: drains lock many at once, in any order, and must never wait in a ring. Only resolving concerns judging: it holds
the lock of the alert's shard, so that no drain is in the middle of the same alert.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg.errors
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from alerts.models import Alert, AlertEvent
from alerts.wording import moment
from telemetry.models import LogLayout, ShardPosition
from thresholds.waiting import await_safe

__all__ = ["Outcome", "acknowledge", "assign", "comment", "resolve", "unacknowledge"]

_AT_ONCE = 500
_Kind = AlertEvent.Kind
_State = Alert.State
_NOTE = """
INSERT INTO alerts_alertevent (alert_id, kind, at, who_id, text, unrouted, severity)
SELECT u.alert_id, %s, %s, %s, %s, %s, u.severity FROM unnest(%s::bigint[], %s::smallint[]) AS u(alert_id, severity)
"""
#: What one alert says to an action: None where it is done, "" where nothing had to be, else why it cannot be.
Decision = Callable[[Alert], str | None]


class Busy(Exception):
    """Something else holds a lock for longer than one may wait."""


@dataclass(slots=True)
class Outcome:
    """What became of each alert."""

    changed: list[int] = field(default_factory=list)
    #: It was so already, by the same person.
    unchanged: list[int] = field(default_factory=list)
    #: Why not: it is done by somebody else, or over.
    refused: dict[int, str] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    #: A drain is in the way for longer than one may wait: nothing was changed, try again.
    busy: list[int] = field(default_factory=list)


def acknowledge(ids: Iterable[int], user: Any, text: str = "") -> Outcome:
    """Say that somebody looks after these alerts. Refused for those that somebody else has, and those that are over."""
    now = timezone.now()

    def decide(alert: Alert) -> str | None:
        if alert.state == _State.ACKNOWLEDGED:
            return "" if alert.acknowledged_by_id == user.pk else _acknowledged(alert)
        return None if alert.state == _State.OPEN else _over(alert)

    def apply(alerts: Sequence[Alert]) -> None:
        _rows(alerts).update(state=_State.ACKNOWLEDGED, acknowledged_at=now, acknowledged_by=user)
        _note(alerts, _Kind.ACKNOWLEDGED, user, text, now)

    return _act(ids, decide, apply)


def unacknowledge(ids: Iterable[int], user: Any, text: str = "") -> Outcome:
    """Take one's acknowledgement back: nobody looks after these alerts any more, and reminders go on.

    Refused for what somebody else acknowledged, for what is over, and once somebody else has done something with it since:
    they may count on it.
    """
    now = timezone.now()

    def decide(alert: Alert) -> str | None:
        if alert.state == _State.OPEN:
            return ""
        if alert.state != _State.ACKNOWLEDGED:
            return _over(alert)
        return _acknowledged(alert) if alert.acknowledged_by_id != user.pk else _touched(alert, user)

    def apply(alerts: Sequence[Alert]) -> None:
        _rows(alerts).update(state=_State.OPEN, acknowledged_at=None, acknowledged_by=None)
        _note(alerts, _Kind.UNACKNOWLEDGED, user, text, now)

    return _act(ids, decide, apply)


def assign(ids: Iterable[int], user: Any, assignee: Any) -> Outcome:
    """Give these alerts to somebody, or to nobody (None). Also those that are over: there may be work left to do."""
    now = timezone.now()
    text = "Assigned to nobody." if assignee is None else f"Assigned to {assignee.get_username()}."

    def decide(alert: Alert) -> str | None:
        return "" if alert.assignee_id == (assignee and assignee.pk) else None

    def apply(alerts: Sequence[Alert]) -> None:
        _rows(alerts).update(assignee=assignee)
        _note(alerts, _Kind.ASSIGNED, user, text, now)

    return _act(ids, decide, apply)


def comment(ids: Iterable[int], user: Any, text: str) -> Outcome:
    """Add words to the timelines of these alerts."""
    now = timezone.now()
    return _act(ids, lambda alert: None, lambda alerts: _note(alerts, _Kind.COMMENTED, user, text, now))


def resolve(ids: Iterable[int], user: Any, text: str = "") -> Outcome:
    """End these alerts by hand. One that is still beyond its limit opens anew only after it was safe once.

    Waits for a drain of an alert's shard, at most as long as a lock may be waited for; those alerts are then `busy`.
    """
    outcome = Outcome()
    by_shard: dict[int | None, list[int]] = defaultdict(list)
    wanted = _distinct(ids)
    shards = LogLayout.objects.values_list("shards", flat=True).get()
    found = Alert.objects.filter(pk__in=wanted).values_list("pk", "threshold_id", "device_id")
    for alert, threshold, device in found:
        by_shard[device % shards if threshold else None].append(alert)
    known = {alert for alerts in by_shard.values() for alert in alerts}
    outcome.missing += [alert for alert in wanted if alert not in known]
    for shard, alerts in by_shard.items():
        for start in range(0, len(alerts), _AT_ONCE):
            _resolve_in(shard, alerts[start : start + _AT_ONCE], user, text, outcome)
    return outcome


def _resolve_in(shard: int | None, ids: Sequence[int], user: Any, text: str, outcome: Outcome) -> None:
    try:
        with transaction.atomic(), _told_when_locked():
            if shard is not None:
                ShardPosition.objects.select_for_update().get(shard=shard)
            part = _settle(ids, _may_resolve(user), lambda alerts: _end(alerts, shard, user, text), wait=True)
    except Busy:
        outcome.busy += ids
        return
    _add(outcome, part)


def _may_resolve(user: Any) -> Decision:
    def decide(alert: Alert) -> str | None:
        if alert.state in Alert.LIVE:
            return None
        by = _resolver(alert) if alert.state == _State.RESOLVED else None
        return "" if by is not None and by.pk == user.pk else _over(alert)

    return decide


def _end(alerts: Sequence[Alert], shard: int | None, user: Any, text: str) -> None:
    """Under the shard's lock: judging finds them waiting to be safe, and forgets what it remembered."""
    now = timezone.now()
    _rows(alerts).update(state=_State.RESOLVED, ended_at=now, end_reason="resolved")
    _note(alerts, _Kind.RESOLVED, user, text, now, unrouted=True)
    # The platform's alerts about itself have no shard, but wait to be over all the same.
    await_safe(shard, [(alert.threshold_id, alert.series_id) for alert in alerts])


@contextmanager
def _told_when_locked() -> Iterator[None]:
    """Raises Busy where a lock takes longer than one may wait."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise Busy from error
        raise


# --- many at once ---------------------------------------------------------------------------------------------------


def _act(ids: Iterable[int], decide: Decision, apply: Callable[[Sequence[Alert]], None]) -> Outcome:
    """Those that nobody else has locked together; one of the others alone, waiting for it; and so on."""
    outcome, left = Outcome(), _distinct(ids)
    if len(left) > 1:
        left = _act_on_free(left, decide, apply, outcome)
    while left:
        first, *left = left
        try:
            with transaction.atomic(), _told_when_locked():
                part = _settle([first], decide, apply, wait=True)
        except Busy:
            outcome.busy.append(first)
        else:
            _add(outcome, part)
        left = _act_on_free(left, decide, apply, outcome)
    return outcome


def _act_on_free(
    ids: Sequence[int], decide: Decision, apply: Callable[[Sequence[Alert]], None], outcome: Outcome
) -> list[int]:
    """Answers those that somebody else has locked, or that do not exist."""
    left = []
    for start in range(0, len(ids), _AT_ONCE):
        with transaction.atomic():
            part = _settle(ids[start : start + _AT_ONCE], decide, apply, wait=False)
        left += part.missing
        part.missing = []
        _add(outcome, part)
    return left


def _settle(ids: Sequence[int], decide: Decision, apply: Callable[[Sequence[Alert]], None], *, wait: bool) -> Outcome:
    """Decide on each of these under its lock. Without ``wait`` those that are locked count as missing."""
    part = Outcome()
    alerts = Alert.objects.filter(pk__in=ids).defer("rule", "evidence").order_by("pk")
    locked = list(alerts.select_for_update(no_key=True, skip_locked=not wait))
    chosen = []
    for alert in locked:
        reason = decide(alert)
        if reason is None:
            chosen.append(alert)
        elif reason:
            part.refused[alert.pk] = reason
        else:
            part.unchanged.append(alert.pk)
    if chosen:
        apply(chosen)
        part.changed += [alert.pk for alert in chosen]
    seen = {alert.pk for alert in locked}
    part.missing += [each for each in ids if each not in seen]
    return part


def _add(outcome: Outcome, part: Outcome) -> None:
    outcome.changed += part.changed
    outcome.unchanged += part.unchanged
    outcome.refused |= part.refused
    outcome.missing += part.missing


def _distinct(ids: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(ids))


def _rows(alerts: Sequence[Alert]) -> Any:
    return Alert.objects.filter(pk__in=[alert.pk for alert in alerts])


def _note(alerts: Sequence[Alert], kind: str, user: Any, text: str, now: datetime, *, unrouted: bool = False) -> None:
    rows = [(alert.pk, alert.severity) for alert in alerts]
    with connection.cursor() as cursor:
        columns = ([*column] for column in zip(*rows, strict=True))
        cursor.execute(_NOTE, [kind, now, user and user.pk, text, unrouted, *columns])


# --- why not --------------------------------------------------------------------------------------------------------


def _acknowledged(alert: Alert) -> str:
    who = alert.acknowledged_by.get_username() if alert.acknowledged_by else "somebody"
    return f"{who} acknowledged it at {_at(alert.acknowledged_at)}."


def _touched(alert: Alert, user: Any) -> str | None:
    """What somebody else has done with it since it was acknowledged; None where nobody has."""
    since = AlertEvent.objects.filter(alert=alert, at__gte=alert.acknowledged_at).exclude(who=None).exclude(who=user)
    event = since.select_related("who").last()
    if event is None or event.who is None:
        return None
    did = "commented on" if event.kind == _Kind.COMMENTED else event.kind
    return f"{event.who.get_username()} {did} it at {_at(event.at)}, and may count on you: tell them."


def _over(alert: Alert) -> str:
    if alert.state == _State.RESOLVED:
        by = _resolver(alert)
        return f"{by.get_username() if by else 'Somebody'} resolved it at {_at(alert.ended_at)}."
    why = f" ({alert.end_reason})" if alert.end_reason else ""
    return f"It cleared at {_at(alert.ended_at)}{why}."


def _resolver(alert: Alert) -> Any:
    row = AlertEvent.objects.filter(alert=alert, kind=_Kind.RESOLVED).select_related("who").last()
    return row and row.who


def _at(moment_or_none: datetime | None) -> str:
    return "an unknown time" if moment_or_none is None else moment(moment_or_none)
