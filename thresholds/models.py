"""Thresholds as operators manage them, and what judging by them has to remember."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now

from telemetry.models import Device, DeviceGroup, DeviceType

__all__ = ["Condition", "GapPolicy", "LateBreaches", "Level", "PairState", "RulesInForce", "RulesVersion", "Severity"]
__all__ += ["Threshold", "UnjudgedFrontier"]


class Severity(models.IntegerChoices):
    """The higher, the worse. Names are what the API says."""

    INFO = 1, "info"
    WARNING = 2, "warning"
    MAJOR = 3, "major"
    CRITICAL = 4, "critical"


class Condition(models.TextChoices):
    ABOVE = "above", "above"
    AT_OR_ABOVE = "at_or_above", "at or above"
    BELOW = "below", "below"
    AT_OR_BELOW = "at_or_below", "at or below"
    EQUAL = "equal", "equal to"
    NOT_EQUAL = "not_equal", "not equal to"
    OUTSIDE = "outside", "outside of a range"
    INSIDE = "inside", "inside of a range"
    RATE_ABOVE = "rate_above", "changing faster than (per second)"
    SILENT = "silent", "silent for (seconds)"


class GapPolicy(models.TextChoices):
    RESET = "reset", "start anew after a gap"
    HOLD = "hold", "let the clock run across a gap"


class Threshold(models.Model):
    """One rule for one metric over a scope: exactly one of device, device type, group, or all devices."""

    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    enabled = models.BooleanField(default=True)
    device = models.ForeignKey(Device, null=True, blank=True, on_delete=models.CASCADE, related_name="thresholds")
    device_type = models.ForeignKey(
        DeviceType, null=True, blank=True, on_delete=models.PROTECT, related_name="thresholds"
    )
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.PROTECT, related_name="thresholds")
    all_devices = models.BooleanField(default=False)
    metric = models.CharField(max_length=100)
    condition = models.CharField(max_length=20, choices=Condition)
    for_seconds = models.FloatField(default=0, validators=[MinValueValidator(0)])
    consecutive = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    clear_for_seconds = models.FloatField(default=0, validators=[MinValueValidator(0)])
    #: Seconds; None: three times the expected interval of the device type's metric, unlimited where none is known.
    max_gap_seconds = models.FloatField(null=True, blank=True, validators=[MinValueValidator(0.001)])
    gap_policy = models.CharField(max_length=10, choices=GapPolicy, default=GapPolicy.RESET)
    #: {"zone": "Europe/Berlin", "windows": [{"days": ["mon", …], "start": "08:00", "end": "18:00"}]}; None: always.
    #: A window whose end is not after its start runs past midnight; "24:00" is the end of a day.
    schedule = models.JSONField(null=True, blank=True)
    message = models.TextField(blank=True, default="")
    overrides = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="overridden_by"
    )
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.CheckConstraint(
                name="threshold_has_one_scope",
                condition=(
                    models.Q(device__isnull=False, device_type=None, group=None, all_devices=False)
                    | models.Q(device=None, device_type__isnull=False, group=None, all_devices=False)
                    | models.Q(device=None, device_type=None, group__isnull=False, all_devices=False)
                    | models.Q(device=None, device_type=None, group=None, all_devices=True)
                ),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Level(models.Model):
    """From which value on a threshold means which severity. Ranges have a low and a high value each."""

    threshold = models.ForeignKey(Threshold, on_delete=models.CASCADE, related_name="levels")
    severity = models.SmallIntegerField(choices=Severity)
    #: The trigger; the low end of it for `outside` and `inside`; seconds for `silent`; per second for `rate_above`.
    trigger = models.FloatField()
    trigger_high = models.FloatField(null=True, blank=True)
    #: None: as the trigger.
    clear = models.FloatField(null=True, blank=True)
    clear_high = models.FloatField(null=True, blank=True)

    class Meta:
        ordering = ["severity"]
        constraints = [models.UniqueConstraint(fields=["threshold", "severity"], name="level_once_per_severity")]

    def __str__(self) -> str:
        return f"{self.get_severity_display()} {self.trigger:g}"


class RulesVersion(models.Model):
    """One row, bumped by triggers: ``rules`` with thresholds and their levels, ``placement`` with the type, group or
    state of devices, with groups and with the metrics of types. At most once a transaction, just before its COMMIT."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    rules = models.BigIntegerField(default=1)
    placement = models.BigIntegerField(default=1)
    rules_xid = models.BigIntegerField(default=0)
    placement_xid = models.BigIntegerField(default=0)


class RulesInForce(models.Model):
    """From which entry of a shard's log on which version of the rules was judged by."""

    shard = models.IntegerField()
    rules = models.BigIntegerField()
    placement = models.BigIntegerField()
    after_entry = models.CharField(max_length=42)
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shard", "rules", "placement"], name="rules_in_force_once_per_shard")
        ]


class ShardJudging(models.Model):
    """What judging keeps of a shard. ``epoch`` is bumped, under the shard's lock, by whoever else changes its state."""

    shard = models.IntegerField(primary_key=True)
    epoch = models.BigIntegerField(default=0)


class PairState(models.Model):
    """The clocks of one (threshold, series) that is pending, open, waiting to be safe, or was open a short while ago.

    Lists have one place a severity (info first). Event times are µs since 1970.
    """

    threshold_id = models.BigIntegerField()
    series_id = models.IntegerField()
    shard = models.IntegerField(db_index=True)
    #: Bit (severity - 1): the level is on.
    on_levels = models.SmallIntegerField(default=0)
    #: The first breaching reading in a row of each level that is not on.
    since = ArrayField(models.BigIntegerField(null=True), size=4)
    counts = ArrayField(models.IntegerField(), size=4)
    #: The first reading in a row beyond the clear value of each level that is on.
    safe_since = ArrayField(models.BigIntegerField(null=True), size=4)
    #: Resolved by a person: opens anew only after the series was safe once.
    waiting = models.BooleanField(default=False)
    #: Event times of the latest openings, for as long as they count towards flapping.
    openings = ArrayField(models.BigIntegerField(), default=list)
    flapping = models.BooleanField(default=False)
    #: While flapping: since when no level is on.
    quiet_since = models.BigIntegerField(null=True)
    #: What the live alert stands at; 0: there is none.
    severity = models.SmallIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["threshold_id", "series_id"], name="state_once_per_pair")]


class LateBreaches(models.Model):
    """Readings that came after newer ones and would have breached: counted, because they moved nothing."""

    threshold_id = models.BigIntegerField()
    series_id = models.IntegerField(db_index=True)
    count = models.BigIntegerField(default=0)
    newest = models.BigIntegerField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["threshold_id", "series_id"], name="late_once_per_pair")]


class UnjudgedFrontier(models.Model):
    """While judging lags behind storing: the newest event time of a series as it was at the judged position."""

    shard = models.IntegerField(db_index=True)
    series_id = models.IntegerField(primary_key=True)
    #: None: there was no reading.
    newest = models.BigIntegerField(null=True)
