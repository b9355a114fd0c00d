"""Alerts with their timeline, who hears of them, and the messages that say so.

Alerts keep names and ids, no foreign keys to what they were about: history outlives thresholds and devices.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from telemetry.models import Device, DeviceGroup, DeviceType
from thresholds.models import Severity, Threshold

__all__ = ["Alert", "AlertEvent", "Channel", "ChannelAttempt", "EscalationStep", "HeldAlert", "Message", "MessageAlert"]
__all__ += ["Route", "Silence"]


class Alert(models.Model):
    """One time that a threshold was crossed on a series. At most one of a pair is open or acknowledged."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ACKNOWLEDGED = "acknowledged", "acknowledged"
        CLEARED = "cleared", "cleared"
        RESOLVED = "resolved", "resolved"

    LIVE: ClassVar = (State.OPEN, State.ACKNOWLEDGED)

    #: 0 and a negative series: the platform's alert about itself.
    threshold_id = models.BigIntegerField()
    threshold_name = models.CharField(max_length=200)
    series_id = models.IntegerField()
    device_id = models.BigIntegerField(db_index=True)
    device_name = models.CharField(max_length=200)
    metric = models.CharField(max_length=100)
    unit = models.CharField(max_length=32, default="", db_default="")
    condition = models.CharField(max_length=20, default="", db_default="")
    state = models.CharField(max_length=12, choices=State, default=State.OPEN)
    severity = models.SmallIntegerField(choices=Severity)
    highest_severity = models.SmallIntegerField(choices=Severity)
    #: The trigger of the level that it stands at: a number, [low, high] for ranges.
    trigger = models.JSONField(null=True)
    #: The latest judged value and its event time, the one furthest from what is safe, and how many breached.
    value = models.FloatField(null=True)
    value_at = models.DateTimeField(null=True)
    extreme = models.FloatField(null=True)
    readings = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField()
    detected_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="acknowledged_alerts",
        db_index=False,
    )
    #: Event time of the reading that cleared it; wall clock where a person or a removed rule ended it.
    ended_at = models.DateTimeField(null=True)
    end_reason = models.CharField(max_length=100, default="", db_default="")
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="assigned_alerts", db_index=False
    )
    flapping = models.BooleanField(default=False, db_default=False)
    #: Opened by an import or a backfill: recorded, never notified.
    imported = models.BooleanField(default=False, db_default=False)
    #: While it was live its series was up to date with the clock: it may be notified.
    caught_up = models.BooleanField(default=False, db_default=False)
    #: How it came to open: see thresholds.judge.Evidence; and the threshold as it was then (its REST form).
    evidence = models.JSONField(default=dict)
    rule = models.JSONField(default=dict)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["threshold_id", "series_id"],
                condition=models.Q(state__in=["open", "acknowledged"]),
                name="one_live_alert_per_pair",
            )
        ]
        indexes = [
            models.Index(fields=["-opened_at", "-id"], name="alert_newest"),
            models.Index(
                fields=["-severity", "-opened_at", "-id"],
                condition=models.Q(state__in=["open", "acknowledged"]),
                name="alert_inbox",
            ),
            # Whatever is rare beside a million old ones has an index of its own, in the order of the lists.
            models.Index(
                fields=["-opened_at", "-id"],
                condition=models.Q(state__in=["open", "acknowledged"]),
                name="alert_live",
            ),
            models.Index(fields=["-opened_at", "-id"], condition=models.Q(state="resolved"), name="alert_resolved"),
            models.Index(fields=["-opened_at", "-id"], condition=models.Q(flapping=True), name="alert_flapping"),
            models.Index(fields=["-severity", "-opened_at", "-id"], name="alert_by_severity"),
            models.Index(fields=["device_name"], name="alert_of_device_name"),
            models.Index(
                fields=["acknowledged_by"], condition=models.Q(acknowledged_by__isnull=False), name="alert_acknowledged"
            ),
            models.Index(fields=["assignee"], condition=models.Q(assignee__isnull=False), name="alert_assigned"),
            models.Index(fields=["threshold_id", "-opened_at"], name="alert_of_threshold"),
            models.Index(fields=["series_id", "-opened_at"], name="alert_of_series"),
        ]

    def __str__(self) -> str:
        return f"{self.threshold_name}: {self.device_name} {self.metric}"


class AlertEvent(models.Model):
    """One row of an alert's timeline."""

    class Kind(models.TextChoices):
        OPENED = "opened"
        RAISED = "raised"
        LOWERED = "lowered"
        FLAPPING = "flapping"
        ACKNOWLEDGED = "acknowledged"
        UNACKNOWLEDGED = "unacknowledged", "acknowledgement taken back"
        ASSIGNED = "assigned"
        COMMENTED = "commented"
        SUPPRESSED = "suppressed"
        NOTIFIED = "notified"
        NOTIFICATION_FAILED = "notification_failed", "notification failed"
        CLEARED = "cleared"
        RESOLVED = "resolved"

    # No indexes but those below: every alert of a storm writes several of these.
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="timeline", db_index=False)
    kind = models.CharField(max_length=20, choices=Kind)
    #: Wall clock of the entry; ``event_time`` is that of the reading behind it, where there is one.
    at = models.DateTimeField(db_default=Now())
    event_time = models.DateTimeField(null=True)
    who = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    value = models.FloatField(null=True)
    severity = models.SmallIntegerField(choices=Severity, null=True)
    text = models.TextField(default="", db_default="")
    #: Whether routing has still to look at it: opened, raised, flapping, cleared and resolved ones.
    unrouted = models.BooleanField(default=False, db_default=False)
    #: W3C trace context of the request whose reading made it, where that was traced.
    traceparent = models.CharField(max_length=55, default="", db_default="", blank=True)

    class Meta:
        ordering = ["at", "id"]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(unrouted=True), name="event_unrouted"),
            models.Index(fields=["alert", "at", "id"], name="event_of_alert"),
            models.Index(fields=["who"], condition=models.Q(who__isnull=False), name="event_by_whom"),
        ]


class Channel(models.Model):
    """A way to reach people. What is secret of it is encrypted and never shown again."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=20, help_text="email, webhook, slack, teams, push")
    #: What may be shown, such as recipients or an address without its token.
    config = models.JSONField(default=dict, blank=True)
    #: JSON of what may not be shown, encrypted.
    secret = models.BinaryField(default=b"", editable=False)
    enabled = models.BooleanField(default=True)
    #: Since when every delivery fails; None while it works.
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which alerts go to which channels. Routes are asked in their order; the first that matches ends the search, unless
    it says ``continue``. What a route leaves empty matches everything."""

    name = models.CharField(max_length=100, unique=True)
    position = models.IntegerField(default=100, help_text="Lower ones are asked first.")
    enabled = models.BooleanField(default=True)
    continues = models.BooleanField(default=False, help_text="Ask the routes behind this one too.")
    min_severity = models.SmallIntegerField(choices=Severity, default=Severity.INFO)
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    device_type = models.ForeignKey(DeviceType, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    threshold = models.ForeignKey(Threshold, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    labels = models.JSONField(default=dict, blank=True, help_text='For example {"site": "north"}; all must hold.')
    channels = models.ManyToManyField(Channel, related_name="routes", blank=True)
    group_seconds = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(3600)],
        help_text="Openings within so many seconds go out as one message; empty: ALERT_GROUP_SECONDS.",
    )
    repeat_minutes = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="While open and unacknowledged; empty: never.",
    )
    recovery = models.BooleanField(default=True, help_text="Tell whoever was told of the opening when it clears.")

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class EscalationStep(models.Model):
    """Whom a route tells next while nobody acknowledges."""

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="escalation")
    after_minutes = models.FloatField(validators=[MinValueValidator(1)])
    channels = models.ManyToManyField(Channel, related_name="+")

    class Meta:
        ordering = ["after_minutes"]
        constraints = [models.UniqueConstraint(fields=["route", "after_minutes"], name="step_once_per_time")]


class Silence(models.Model):
    """While it lasts, alerts that match are recorded but not sent: from start to end, or weekly (maintenance window).

    What it leaves empty matches everything.
    """

    device = models.ForeignKey(Device, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    device_type = models.ForeignKey(DeviceType, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    threshold = models.ForeignKey(Threshold, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    metric = models.CharField(max_length=100, blank=True, default="")
    labels = models.JSONField(default=dict, blank=True)
    max_severity = models.SmallIntegerField(
        choices=Severity, default=Severity.CRITICAL, help_text="Alerts above it are sent all the same."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="Empty only where there is a weekly schedule.")
    #: As thresholds.models.Threshold.schedule; None: all the time from start to end.
    schedule = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    #: Up to when its summaries of what is still open were sent.
    summarised_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-starts_at", "-id"]

    def __str__(self) -> str:
        return self.reason


class Message(models.Model):
    """The outbox: one message to one channel, which collects alerts until it is due and is frozen when first claimed."""

    class Kind(models.TextChoices):
        OPENING = "opening"
        REPEAT = "repeat"
        ESCALATION = "escalation"
        RECOVERY = "recovery"
        FLAPPING = "flapping"
        SUMMARY = "summary"
        TEST = "test"

    class State(models.TextChoices):
        COLLECTING = "collecting"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    #: Goes with every attempt, so that the receiver can tell a repeat.
    key = models.UUIDField(unique=True)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="messages")
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="+")
    kind = models.CharField(max_length=12, choices=Kind)
    #: Escalation step or number of the repeat.
    step = models.IntegerField(default=0)
    state = models.CharField(max_length=12, choices=State, default=State.COLLECTING)
    #: When it may be sent (again).
    due_at = models.DateTimeField()
    #: A claim is good until then; afterwards another worker may take it.
    leased_until = models.DateTimeField(null=True)
    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    frozen_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    give_up_at = models.DateTimeField(null=True)
    error = models.TextField(default="", db_default="")
    #: What is sent: {"subject", "text", "alerts": [...]}; made once, when frozen.
    content = models.JSONField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "route", "kind", "step"],
                condition=models.Q(state="collecting", kind__in=["opening", "recovery", "flapping"]),
                name="one_collecting_message",
                nulls_distinct=False,
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(state__in=["collecting", "sending"]), name="message_due")
        ]


class MessageAlert(models.Model):
    """Which alerts a message names."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="items")
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="messages")
    event = models.ForeignKey(AlertEvent, null=True, on_delete=models.SET_NULL, related_name="+")
    #: The message, as it was frozen, says that the alert is over: no separate recovery notice is due.
    ended = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "alert"], name="alert_once_per_message")]


class HeldAlert(models.Model):
    """A live alert that nobody was told of, because a silence or its gateway's own alert holds it back.

    Nothing is lost by it: once nothing holds it any more and it is still live, it is told (alerts.holding).
    """

    alert = models.OneToOneField(Alert, primary_key=True, on_delete=models.CASCADE, related_name="held")
    #: The silence that holds it; None where its gateway does, or the silence was deleted.
    silence = models.ForeignKey(Silence, null=True, on_delete=models.SET_NULL, related_name="held")
    #: The device whose own silent alert holds it.
    gateway_id = models.BigIntegerField(null=True)
    #: For people: why, as it stands in the timeline.
    reason = models.TextField(default="", db_default="")
    since = models.DateTimeField(db_default=Now())
    #: Since when its gateway speaks again: its children get a moment to do so too.
    free_since = models.DateTimeField(null=True)


class ChannelAttempt(models.Model):
    """One try to send a message, for the operators to see."""

    message = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField(db_default=Now())
    ok = models.BooleanField()
    detail = models.TextField(default="")

    class Meta:
        ordering = ["at", "id"]
