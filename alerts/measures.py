"""What alerts measure about themselves; see telemetry.measures for how it is meant. Each is declared once, here."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

__all__ = [
    "alerts_suppressed",
    "deliver_seconds",
    "events_routed",
    "messages_given_up",
    "messages_sent",
    "send_failures",
]

events_routed = Counter("iot_alert_events_routed", "Changes of alerts that routing has looked at.")
alerts_suppressed = Counter(
    "iot_alerts_suppressed",
    "Alerts that were recorded but not told, by reason (import, late, silence, gateway, route).",
    ["reason"],
)
messages_sent = Counter("iot_messages_sent", "Messages that a receiver took, by kind of channel.", ["channel"])
messages_given_up = Counter(
    "iot_messages_given_up",
    "Messages that were given up: the receiver refused them, or did not answer for too long.",
    ["channel"],
)
send_failures = Counter(
    "iot_send_failures",
    "Attempts to send that failed, those that are repeated included, by kind of channel.",
    ["channel"],
)
deliver_seconds = Histogram(
    "iot_deliver_seconds",
    "Time of one attempt to send a message.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0),
)
