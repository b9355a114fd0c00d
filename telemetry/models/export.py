"""Questions that are kept, when they are answered into files, and what became of each time."""

from __future__ import annotations

from datetime import time

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

__all__ = ["ExportRun", "SavedQuery", "ScheduledExport"]


class SavedQuery(models.Model):
    """A question without its period: the query parameters of a route, as its URL has them."""

    class Route(models.TextChoices):
        AGGREGATES = "aggregates"
        READINGS = "readings"

    name = models.CharField(max_length=200)
    #: Whose rights it is asked with. None where that person was deleted: then it is asked no more.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    route = models.CharField(max_length=20, choices=Route)
    #: "device=pump-7&metric=temperature&bucket=1h"
    query = models.TextField()
    #: It asks for the readings themselves, whichever route it is for.
    raw = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "saved queries"
        ordering = ["name", "id"]
        permissions = [("manage_other_exports", "Can see and manage the queries and exports of others")]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="savedquery_name_of_owner")]

    def __str__(self) -> str:
        return self.name


class ScheduledExport(models.Model):
    """When a saved query is answered, about which period, in which form, to where, and who is told."""

    class Every(models.TextChoices):
        DAILY = "daily"
        WEEKLY = "weekly"

    class Period(models.TextChoices):
        YESTERDAY = "yesterday"
        LAST_WEEK = "last_week", "last week"
        LAST_DAYS = "last_days", "last days"

    class Format(models.TextChoices):
        CSV = "csv", "CSV"
        PARQUET = "parquet", "Parquet"

    class Destination(models.TextChoices):
        FOLDER = "folder"
        S3 = "s3", "S3"

    class Weekday(models.IntegerChoices):
        MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)

    query = models.ForeignKey(SavedQuery, on_delete=models.CASCADE, related_name="exports")
    name = models.CharField(max_length=200)
    every = models.CharField(max_length=10, choices=Every, default=Every.DAILY)
    #: Of weekly ones.
    weekday = models.SmallIntegerField(null=True, blank=True, choices=Weekday)
    #: By the clocks of the zone. A time that they skip comes when they have skipped it, one that comes twice counts once.
    at = models.TimeField(default=time(6))
    #: IANA name. Days and weeks are those of this zone.
    zone = models.CharField(max_length=64, default="UTC")
    period = models.CharField(max_length=10, choices=Period, default=Period.YESTERDAY)
    #: Of "last days".
    days = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(366)]
    )
    format = models.CharField(max_length=10, choices=Format, default=Format.CSV)
    destination = models.CharField(max_length=10, choices=Destination, default=Destination.FOLDER)
    #: Email addresses that are sent a link.
    recipients = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    #: The next time by the calendar, and as an instant; None while it is disabled.
    next_on = models.DateField(null=True, editable=False)
    next_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(every="weekly", weekday__isnull=False) | Q(every="daily", weekday__isnull=True),
                name="export_weekday_of_weekly",
            ),
            models.CheckConstraint(
                condition=Q(period="last_days", days__isnull=False) | (~Q(period="last_days") & Q(days__isnull=True)),
                name="export_days_of_last_days",
            ),
        ]
        indexes = [models.Index(fields=["next_at"], condition=Q(enabled=True), name="export_next")]

    def __str__(self) -> str:
        return self.name


class ExportRun(models.Model):
    """One period of an export, from waiting to its file. Row of the queue and of the history at the same time."""

    class State(models.TextChoices):
        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        #: Tried again at ``due_at``.
        FAILED = "failed"
        GIVEN_UP = "given_up", "given up"

    class Mail(models.TextChoices):
        NONE = "", "nobody to tell"
        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    export = models.ForeignKey(ScheduledExport, on_delete=models.CASCADE, related_name="runs")
    #: The schedule asked for it, not a person.
    scheduled = models.BooleanField(default=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    #: [start, end) by event time.
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    #: Counted when they begin, so that one which kills its worker counts too.
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    leased_until = models.DateTimeField(null=True)
    #: Who holds the lease.
    claim = models.UUIDField(null=True)
    format = models.CharField(max_length=10, choices=ScheduledExport.Format)
    destination = models.CharField(max_length=10, choices=ScheduledExport.Destination)
    rows = models.BigIntegerField(null=True)
    bytes = models.BigIntegerField(null=True)
    #: In hexadecimal, of the file.
    sha256 = models.CharField(max_length=64, default="", blank=True)
    #: Below the folder, or the key in the bucket.
    location = models.CharField(max_length=1000, default="", blank=True)
    #: Ids of the devices in the file: whoever does not see one of them does not get it.
    devices = models.JSONField(default=list, blank=True)
    error = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    #: When its file was removed, EXPORT_KEEP_DAYS later.
    removed_at = models.DateTimeField(null=True)
    mail = models.CharField(max_length=10, choices=Mail, default=Mail.NONE, blank=True)
    mail_attempts = models.PositiveSmallIntegerField(default=0)
    mail_due_at = models.DateTimeField(null=True)
    mail_error = models.TextField(default="", blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["export", "period_start", "period_end"],
                condition=Q(scheduled=True),
                name="exportrun_period_once",
            ),
            models.CheckConstraint(condition=Q(period_start__lt=F("period_end")), name="exportrun_period"),
        ]
        indexes = [
            models.Index(fields=["export", "-id"], name="exportrun_history"),
            models.Index(
                fields=["due_at"], condition=Q(state__in=["waiting", "failed", "running"]), name="exportrun_open"
            ),
            models.Index(fields=["mail_due_at"], condition=Q(mail="waiting"), name="exportrun_mail"),
        ]

    def __str__(self) -> str:
        return f"{self.export} {self.period_start:%Y-%m-%d}"
