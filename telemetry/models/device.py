"""Devices, their types with the contract of their metrics, and the tree of groups."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models.functions import Now

# Names travel in URLs, CSV files and alert texts, so they have no slash, no control character and no outer space.
NAME_PATTERN = r"^(?!\.{1,2}\Z)[^\s/\x00-\x1f\x7f](?:[^/\x00-\x1f\x7f]*[^\s/\x00-\x1f\x7f])?\Z"
valid_name = RegexValidator(
    NAME_PATTERN,
    "A name has no slash, no control character, no space at either end, and is not . or .. (they mean folders in a URL).",
    "invalid_name",
)


class DeviceType(models.Model):
    """A kind of device. A strict type accepts only the metrics that it names."""

    name = models.CharField(max_length=100, unique=True, validators=[valid_name])
    description = models.TextField(blank=True, default="")
    strict = models.BooleanField(default=False, help_text="Refuse metrics that are not listed below (unknown_metric).")
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class MetricDefinition(models.Model):
    """What one metric of a device type means: its unit, kind, physical range and rhythm."""

    class Kind(models.TextChoices):
        GAUGE = "gauge", "gauge (a level that goes up and down)"
        COUNTER = "counter", "counter (only grows, may start again)"
        BOOLEAN = "boolean", "boolean (on or off)"

    device_type = models.ForeignKey(DeviceType, on_delete=models.CASCADE, related_name="metrics")
    name = models.CharField(max_length=100, validators=[valid_name])
    unit = models.CharField(max_length=32, blank=True, default="")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.GAUGE)
    low = models.FloatField(null=True, blank=True, help_text="Physically possible minimum; below it: out_of_range.")
    high = models.FloatField(null=True, blank=True, help_text="Physically possible maximum; above it: out_of_range.")
    expected_interval = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(0.001)], help_text="Seconds between readings, where known."
    )

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["device_type", "name"], name="metric_once_per_type")]

    def __str__(self) -> str:
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    def clean(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValidationError({"high": "The physical maximum must not lie below the minimum."})


class DeviceGroup(models.Model):
    """A node in the tree of groups. Its path, "plant/hall-1", names it everywhere outside the database."""

    name = models.CharField(max_length=100, validators=[valid_name])
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    path = models.CharField(max_length=1000, unique=True, editable=False)

    class Meta:
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path

    def save(self, *args, **kwargs) -> None:
        """Keeps the paths of this group and of everything below it true."""
        before = self.path
        self.path = f"{self.parent.path}/{self.name}" if self.parent else self.name
        super().save(*args, **kwargs)
        if before and before != self.path:
            for child in self.children.all():
                child.save()

    def clean(self) -> None:
        if (
            self.parent
            and self.pk
            and (self.parent.pk == self.pk or f"{self.parent.path}/".startswith(f"{self.path}/"))
        ):
            raise ValidationError({"parent": "A group cannot lie below itself."})


class Device(models.Model):
    """A thing that sends readings, known by its name."""

    name = models.CharField(max_length=200, unique=True, validators=[valid_name])
    type = models.ForeignKey(DeviceType, null=True, blank=True, on_delete=models.PROTECT, related_name="devices")
    group = models.ForeignKey(DeviceGroup, null=True, blank=True, on_delete=models.PROTECT, related_name="devices")
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        help_text="The gateway it speaks through.",
    )
    labels = models.JSONField(default=dict, blank=True, db_default=models.Value({}, models.JSONField()))
    enabled = models.BooleanField(default=True, db_default=True)
    description = models.TextField(blank=True, default="")
    location = models.CharField(max_length=200, blank=True, default="")
    latitude = models.FloatField(null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)])
    longitude = models.FloatField(null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)])
    created_at = models.DateTimeField(auto_now_add=True, db_default=Now())

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not isinstance(self.labels, dict) or not all(isinstance(v, str) for v in self.labels.values()):
            raise ValidationError({"labels": 'Labels are an object of texts, for example {"site": "north"}.'})
        if self.parent_id is not None and self.parent_id == self.pk:
            raise ValidationError({"parent": "A device cannot be its own gateway."})


class DeviceLastSeen(models.Model):
    """When a device last spoke; written every few seconds from the log server, not with every reading."""

    device = models.OneToOneField(Device, primary_key=True, on_delete=models.CASCADE, related_name="last_seen")
    at = models.DateTimeField()
