"""Who was told of an alert, and who was not and why: in words."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet

from alerts.models import Alert, AlertEvent, HeldAlert, Message
from alerts.wording import count, moment

__all__ = ["held_back", "told"]

_State = Message.State
#: What a message of each kind tells of.
_OF = {
    Message.Kind.OPENING: "the opening",
    Message.Kind.REPEAT: "it again, as nobody had acknowledged it",
    Message.Kind.ESCALATION: "it, as nobody had acknowledged it",
    Message.Kind.RECOVERY: "its end",
    Message.Kind.FLAPPING: "its flapping",
    Message.Kind.SUMMARY: "it, as it was still open after a silence",
    Message.Kind.TEST: "a test",
}


def told(alert: Alert) -> list[str]:
    """One sentence a message that was sent."""
    return [
        f"{_channel(message)} was told of {_of(message)} at {moment(message.sent_at)}{_company(message)}."
        for message in _messages(alert).filter(state=_State.SENT)
        if message.sent_at is not None
    ]


def held_back(alert: Alert) -> list[str]:
    """What did not get through, is still on its way, or was never meant to be told."""
    messages = list(_messages(alert).exclude(state=_State.SENT))
    suppressed = _suppressed(alert)
    sentences = [*suppressed, *(_undelivered(message) for message in messages)]
    if holder := HeldAlert.objects.filter(alert=alert, alert__state__in=Alert.LIVE).first():
        since = moment(holder.since)
        sentences.append(f"It is held back since {since}; if it is still open once nothing holds it, it is told then.")
    if suppressed or messages:
        return sentences
    if alert.imported:
        sentences.append("It was recorded by an import or a backfill: nobody is told of those.")
    elif not alert.caught_up and alert.state in Alert.LIVE:
        sentences.append(
            "Nobody is told yet: its readings are old, and it may be over by now. "
            "It is told if it is still open once the series has caught up with the clock."
        )
    elif any(event.unrouted and event.kind == AlertEvent.Kind.OPENED for event in alert.timeline.all()):
        sentences.append("Routing has yet to look at it; that takes a few seconds.")
    return sentences


def _messages(alert: Alert) -> QuerySet[Message]:
    """The messages that name it, oldest first; `named` says how many alerts each names."""
    of_alert = Message.objects.filter(pk__in=alert.messages.values("message"))
    return of_alert.select_related("channel", "route").annotate(named=Count("items")).order_by("id")


def _suppressed(alert: Alert) -> list[str]:
    """Silences, gateways, imports, missing routes: as the timeline says it, once each."""
    events = [event for event in alert.timeline.all() if event.kind == AlertEvent.Kind.SUPPRESSED]
    first = {event.text: event.at for event in reversed(events)}
    return [f"{moment(at)}: {text}" for text, at in sorted(first.items(), key=lambda found: found[1])]


def _undelivered(message: Message) -> str:
    """A message that has not been sent."""
    if message.state == _State.FAILED:
        why = f" ({message.error.rstrip('.')})" if message.error else ""
        return f"{_channel(message)} could not be told of {_of(message)}: given up after {_tries(message)}{why}."
    if message.attempts and message.error:
        return (
            f"{_channel(message)} could not be told of {_of(message)} yet, after {_tries(message)} "
            f"({message.error.rstrip('.')}); the next is due at {moment(message.due_at)}."
        )
    if message.state == _State.COLLECTING:
        return (
            f"{_channel(message)} will be told of {_of(message)} at {moment(message.due_at)}: until then the message "
            "waits for other alerts, so that many go out as one."
        )
    return f"{_channel(message)} is being told of {_of(message)} just now."


def _channel(message: Message) -> str:
    via = f", by the route {message.route.name}" if message.route else ""
    return f"{message.channel.name} ({message.channel.kind}{via})"


def _of(message: Message) -> str:
    return _OF[Message.Kind(message.kind)]


def _company(message: Any) -> str:
    others = message.named - 1
    return f", in one message with {count(others, 'other alert')}" if others > 0 else ""


def _tries(message: Message) -> str:
    return count(message.attempts, "attempt")
