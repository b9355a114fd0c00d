"""What alerts measure about themselves; see telemetry.measures for how it is meant. Each is declared once, here."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from telemetry.measures import counted_by

__all__ = [
    "alerts_suppressed",
    "deliver_seconds",
    "events_routed",
    "messages_given_up",
    "messages_sent",
    "send_failures",
]

#: As in alerts.channels, which is not read here: it knows every way to send.
_CHANNELS = ("email", "webhook", "slack", "teams", "push")

events_routed = Counter("iot_alert_events_routed", "Changes of alerts that routing has looked at.")
alerts_suppressed = counted_by(
    "iot_alerts_suppressed",
    "Alerts that were recorded but not told, by reason.",
    *("reason", ("import", "late", "silence", "gateway", "route")),
)
messages_sent = counted_by(
    "iot_messages_sent", "Messages that a receiver took, by kind of channel.", "channel", _CHANNELS
)
messages_given_up = counted_by(
    "iot_messages_given_up",
    "Messages that were given up: the receiver refused them, or did not answer for too long.",
    *("channel", _CHANNELS),
)
send_failures = counted_by(
    "iot_send_failures",
    "Attempts to send that failed, those that are repeated included, by kind of channel.",
    *("channel", _CHANNELS),
)
deliver_seconds = Histogram(
    "iot_deliver_seconds",
    "Time of one attempt to send a message.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
)
