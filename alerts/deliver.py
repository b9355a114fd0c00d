"""Claim a message, send it, complete it: a crash between sending and completing repeats it, with the same key.

A claim is a lease: another worker takes the message over when it has run out. At most one message a channel is on its
way at a time, so a receiver that hangs holds up nobody but itself, and messages to one receiver keep their order.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from alerts import measures
from alerts.channels import KINDS, Outgoing
from alerts.channels.failures import DeliveryFailure, PermanentFailure, TemporaryFailure
from alerts.content import compose_test
from alerts.freeze import freeze
from alerts.models import AlertEvent, Channel, ChannelAttempt, Message
from alerts.secrets import SecretUnreadable, decrypt
from telemetry import tracing

__all__ = ["LEASE", "Claimed", "Outcome", "attempt", "backoff", "claim", "complete", "send_test"]

logger = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
_MOST_TRACES = 16
_FIRST_PAUSE, _LONGEST_PAUSE, _SHORTEST_PAUSE = 5.0, 1800.0, 1.0

#: Whatever a receiver asks for: no number of seconds may be too large for a date.
_LONGEST_WAIT = 30 * 86_400.0

_NEXT = """
SELECT m.id FROM alerts_message m JOIN alerts_channel c ON c.id = m.channel_id
WHERE m.state IN ('collecting', 'sending') AND m.due_at <= %(now)s
  AND NOT m.channel_id = ANY(%(busy)s) AND NOT (%(only_working)s AND c.failing_since IS NOT NULL)
  AND NOT EXISTS (
    SELECT 1 FROM alerts_message o
    WHERE o.channel_id = m.channel_id AND o.state = 'sending' AND o.leased_until > %(now)s)
ORDER BY c.failing_since IS NOT NULL, m.due_at, m.id LIMIT 1 FOR UPDATE OF m SKIP LOCKED
"""
_NOTE = """
INSERT INTO alerts_alertevent (alert_id, kind, at, text)
SELECT alert_id, %s, %s, %s FROM alerts_messagealert WHERE message_id = %s
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours until its lease runs out, with all that sending needs: no database meanwhile."""

    message_id: int
    channel_id: int
    channel: str
    kind: str
    config: dict[str, object]
    secret: bytes
    outgoing: Outgoing
    #: Trace contexts of the requests that brought what it tells, of those traced.
    traceparents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt."""

    ok: bool
    detail: str
    permanent: bool = False
    retry_after: float | None = None
    seconds: float = 0.0


def claim(now: datetime | None = None, busy: Collection[int] = (), *, only_working: bool = False) -> Claimed | None:
    """The next message that is due, of a channel that is not busy; None where there is none. It is frozen if it was not.

    Channels that work go before those that keep failing; ``only_working`` leaves the latter out.
    """
    now = now or timezone.now()
    parameters: dict[str, Any] = {"now": now, "busy": list(busy), "only_working": only_working}
    while True:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(_NEXT, parameters)
                row = cursor.fetchone()
            if row is None:
                return None
            message = Message.objects.select_related("channel", "route").get(pk=row[0])
            try:
                with transaction.atomic():
                    claimed = _take(message, now)
            except OperationalError:
                raise
            except Exception:
                # Our own fault, and of this message alone: it must not stand in the way of all others.
                logger.exception("message_not_frozen", extra={"message_id": message.pk})
                _put_off(message.pk, now)
                continue
            if claimed is not None:
                return claimed


def _put_off(message_id: int, now: datetime) -> None:
    message = Message.objects.get(pk=message_id)
    message.attempts += 1
    message.due_at = now + timedelta(seconds=backoff(message.attempts))
    message.error = "The message could not be made; the log of the worker says why."
    if now - message.created_at > timedelta(hours=settings.PLATFORM.alert_retry_hours):
        message.state = Message.State.FAILED
        _note(message, AlertEvent.Kind.NOTIFICATION_FAILED, message.error, now)
    message.save(update_fields=["attempts", "due_at", "error", "state"])


def _take(message: Message, now: datetime) -> Claimed | None:
    """Lease it; None where nothing is left of it to send."""
    if message.frozen_at is None and not freeze(message, now):
        message.delete()
        return None
    message.state = Message.State.SENDING
    message.attempts += 1
    message.leased_until = now + LEASE
    message.save(update_fields=["state", "attempts", "leased_until", "content", "frozen_at", "give_up_at"])
    channel = message.channel
    if not channel.enabled:
        claimed = _claimed(message)
        complete(claimed, Outcome(ok=False, detail="The channel is switched off.", permanent=True), now)
        return None
    return _claimed(message)


def _claimed(message: Message) -> Claimed:
    channel = message.channel
    outgoing = Outgoing(
        str(message.key), message.content or {}, message.attempts, settings.PLATFORM.alert_timeout_seconds
    )
    config = KINDS[channel.kind].prepare(channel.config) if channel.kind in KINDS else channel.config
    return Claimed(
        *(message.pk, channel.pk, channel.name, channel.kind, dict(config), bytes(channel.secret), outgoing),
        _traceparents(message) if tracing.spans is not None else (),
    )


def _traceparents(message: Message) -> tuple[str, ...]:
    events = AlertEvent.objects.filter(pk__in=message.items.values("event")).exclude(traceparent="").order_by("pk")
    return tuple(dict.fromkeys(events.values_list("traceparent", flat=True)[:_MOST_TRACES]))


def send_test(channel: Channel, who: str, timeout: float = 8.0) -> Outcome:
    """Send a test message at once, in the caller's thread; answers what happened. It is not tried again."""
    now = timezone.now()
    message = Message.objects.create(
        key=uuid.uuid4(),
        channel=channel,
        kind=Message.Kind.TEST,
        state=Message.State.SENDING,
        due_at=now,
        created_at=now,
        frozen_at=now,
        give_up_at=now,
        leased_until=now + LEASE,
        attempts=1,
        content=compose_test(channel.name, who),
    )
    claimed = _claimed(message)
    claimed = replace(claimed, outgoing=replace(claimed.outgoing, timeout=timeout))
    outcome = attempt(claimed)
    complete(claimed, outcome)
    return outcome


def attempt(claimed: Claimed) -> Outcome:
    """Send it once. Whatever goes wrong is an outcome: what is our own fault is logged, and tried again."""
    if tracing.spans is None:
        return _attempt(claimed)
    with tracing.spans.sending(claimed.kind, claimed.channel, claimed.outgoing.attempt, claimed.traceparents) as span:
        if span is not None:
            claimed = replace(claimed, outgoing=replace(claimed.outgoing, traceparent=span.traceparent))
        outcome = _attempt(claimed)
        if span is not None and not outcome.ok:
            span.failed(outcome.detail)
        return outcome


def _attempt(claimed: Claimed) -> Outcome:
    start = time.monotonic()
    try:
        detail = _send(claimed)
    except TemporaryFailure as error:
        return Outcome(False, str(error), retry_after=error.retry_after, seconds=time.monotonic() - start)
    except (PermanentFailure, SecretUnreadable) as error:
        return Outcome(False, str(error), permanent=True, seconds=time.monotonic() - start)
    except Exception as error:
        logger.exception("message_send_broke", extra={"message_id": claimed.message_id, "channel": claimed.channel})
        detail = f"Sending failed within the platform itself ({type(error).__name__}); its log says why."
        return Outcome(False, detail, seconds=time.monotonic() - start)
    return Outcome(True, detail, seconds=time.monotonic() - start)


def _send(claimed: Claimed) -> str:
    kind = KINDS.get(claimed.kind)
    if kind is None:
        raise PermanentFailure(f"There is no kind of channel {claimed.kind!r}.")
    secret = decrypt(claimed.secret)
    try:
        return kind.send({**claimed.config, **secret}, claimed.outgoing)
    except DeliveryFailure as error:
        # A receiver may say back what it was sent.
        error.args = (_redacted(str(error), secret), *error.args[1:])
        raise


def _redacted(text: str, secret: dict[str, object]) -> str:
    for value in secret.values():
        if isinstance(value, str) and len(value) >= 4:
            text = text.replace(value, "…")
    return text


@transaction.atomic
def complete(claimed: Claimed, outcome: Outcome, now: datetime | None = None) -> bool:
    """Write down what became of it; False where it was not ours any more (another worker took it over meanwhile)."""
    now = now or timezone.now()
    mine = Message.objects.select_for_update(of=["self"]).filter(pk=claimed.message_id, state=Message.State.SENDING)
    if not outcome.ok:
        mine = mine.filter(attempts=claimed.outgoing.attempt)
    message = mine.first()
    if message is None:
        return False
    measures.deliver_seconds.observe(outcome.seconds)
    ChannelAttempt.objects.create(message=message, at=now, ok=outcome.ok, detail=outcome.detail)
    if outcome.ok:
        _sent(message, claimed, outcome, now)
    else:
        _failed(message, claimed, outcome, now)
    return True


def _sent(message: Message, claimed: Claimed, outcome: Outcome, now: datetime) -> None:
    message.state, message.sent_at, message.leased_until, message.error = Message.State.SENT, now, None, ""
    message.save(update_fields=["state", "sent_at", "leased_until", "error"])
    Channel.objects.filter(pk=claimed.channel_id).exclude(failing_since=None).update(failing_since=None, last_error="")
    tries = f", at attempt {message.attempts}" if message.attempts > 1 else ""
    _note(message, AlertEvent.Kind.NOTIFIED, f"{_what(message, claimed)}: {outcome.detail}{tries}.", now)
    measures.messages_sent.labels(claimed.kind).inc()


def _failed(message: Message, claimed: Claimed, outcome: Outcome, now: datetime) -> None:
    measures.send_failures.labels(claimed.kind).inc()
    message.leased_until, message.error = None, outcome.detail
    again = None if outcome.permanent else _next_attempt(message, outcome, now)
    if again is None:
        message.state = Message.State.FAILED
        measures.messages_given_up.labels(claimed.kind).inc()
        logger.warning(
            "message_given_up", extra={"message_id": message.pk, "channel": claimed.channel, "why": outcome.detail}
        )
    else:
        message.due_at = again
    message.save(update_fields=["state", "due_at", "leased_until", "error"])
    channel = Channel.objects.filter(pk=claimed.channel_id, enabled=True)
    channel.update(last_error=outcome.detail)
    channel.filter(failing_since=None).update(failing_since=now)
    given_up = message.state == Message.State.FAILED
    if given_up or message.attempts == 1:
        # One row when it first fails and one when it is given up; every attempt is a ChannelAttempt.
        end = "Given up." if given_up else f"Tried again until {message.give_up_at:%Y-%m-%d %H:%M} UTC."
        text = f"{_what(message, claimed)}: {outcome.detail.rstrip('.')}. {end}"
        _note(message, AlertEvent.Kind.NOTIFICATION_FAILED, text, now)


def _next_attempt(message: Message, outcome: Outcome, now: datetime) -> datetime | None:
    """None where its time is up before."""
    pause = max(backoff(message.attempts), outcome.retry_after or 0.0)
    give_up = message.give_up_at or now
    due = now + timedelta(seconds=min(pause, _LONGEST_WAIT))
    return due if due < give_up else None


def backoff(attempts: int) -> float:
    """Seconds to wait after so many attempts: doubled each time, with full jitter, so that a receiver that comes back
    is not met by everything at once."""
    ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempts - 1, 20))
    return max(_SHORTEST_PAUSE, random.uniform(0, ceiling))


def _what(message: Message, claimed: Claimed) -> str:
    names = {
        Message.Kind.OPENING: "",
        Message.Kind.REPEAT: f", repeat {message.step}",
        Message.Kind.ESCALATION: f", escalation step {message.step}",
        Message.Kind.RECOVERY: ", recovery notice",
        Message.Kind.FLAPPING: ", flapping notice",
        Message.Kind.SUMMARY: ", summary after a silence",
        Message.Kind.TEST: ", test",
    }
    label = KINDS[claimed.kind].label if claimed.kind in KINDS else claimed.kind
    return f"{claimed.channel} ({label}){names[Message.Kind(message.kind)]}"


def _note(message: Message, kind: AlertEvent.Kind, text: str, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [kind.value, now, text, message.pk])
