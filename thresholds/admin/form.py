"""The form of a threshold with its table of levels. What it says is checked as a document, as in the API."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.forms.models import BaseInlineFormSet
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from telemetry.models import MetricDefinition, Series
from thresholds.admin.form_fields import DurationField, SuggestionsWidget, WindowsField
from thresholds.api.serializers import known_threshold, overriding
from thresholds.definition import MAX_CONSECUTIVE, faults, override_faults
from thresholds.document import names_of_scope
from thresholds.fault import Fault
from thresholds.level_order import RANGES, level_faults
from thresholds.message import FIELDS as MESSAGE_FIELDS
from thresholds.models import Level, Severity, Threshold

__all__ = ["LevelForm", "LevelFormSet", "ThresholdForm"]

_SCOPES = [
    ("device", "One device"),
    ("device_type", "A device type"),
    ("group", "A group, with everything below it"),
    ("all", "All devices"),
]
#: REST name → field of the form, where they differ; of longer paths the first part that is known counts.
_FIELDS = {
    "for": "for_seconds",
    "clear_for": "clear_for_seconds",
    "max_gap": "max_gap_seconds",
    "scope": "scope_kind",
    "schedule": "schedule_windows",
    "schedule.zone": "schedule_zone",
}
_KNOWN_METRICS = 200


def known_metrics() -> list[str]:
    """Names of metrics that device types name, or that came in; some of them where there are very many."""
    defined = MetricDefinition.objects.order_by("name").values_list("name", flat=True).distinct()[:_KNOWN_METRICS]
    sent = Series.objects.order_by("metric").values_list("metric", flat=True).distinct()[:_KNOWN_METRICS]
    return sorted({*defined, *sent})


@cache
def known_zones() -> list[str]:
    return sorted(available_timezones())


class ThresholdForm(forms.ModelForm):  # type: ignore[type-arg]
    """``document`` and ``levels`` (see LevelFormSet) together are the threshold, its scope as rows."""

    scope_kind = forms.ChoiceField(label="Applies to", choices=_SCOPES, widget=UnfoldAdminSelectWidget())
    metric = forms.CharField(
        max_length=100, widget=SuggestionsWidget(known_metrics), help_text="As devices send it, such as temperature."
    )
    for_seconds = DurationField(
        label="For",
        empty=0.0,
        help_text='How long it must hold before an alert opens, such as "5 min". Empty: at once.',
    )
    consecutive = forms.IntegerField(
        label="Readings in a row",
        initial=1,
        min_value=1,
        max_value=MAX_CONSECUTIVE,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="How many readings in a row must breach; with a duration both must hold.",
    )
    clear_for_seconds = DurationField(
        label="Clears after",
        empty=0.0,
        help_text="How long it must stay on the safe side before it clears. Empty: at once.",
    )
    max_gap_seconds = DurationField(
        label="Largest gap",
        help_text="Readings further apart are a gap. Empty: three times the interval that the device type expects.",
    )
    schedule_zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=100,
        widget=SuggestionsWidget(known_zones),
        help_text="Such as Europe/Berlin.",
    )
    schedule_windows = WindowsField(
        label="Only in these hours",
        help_text='One window a line, such as "mon-fri 08:00-18:00" or "daily 22:00-06:00". Empty: always.',
    )
    message = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=f"Added to what is sent. Filled in are {', '.join(f'{{{name}}}' for name in MESSAGE_FIELDS)}.",
    )
    #: The version that the form shows: a newer one must not be overwritten unseen.
    seen = forms.CharField(required=False, widget=forms.HiddenInput())

    class Meta:
        model = Threshold
        fields = ["name", "enabled", "description", "device", "device_type", "group", "metric", "condition"]
        fields += [
            "for_seconds",
            "consecutive",
            "clear_for_seconds",
            "max_gap_seconds",
            "gap_policy",
            "message",
            "overrides",
        ]
        widgets: ClassVar = {"name": UnfoldAdminTextInputWidget()}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.document: dict[str, Any] = {}
        stored = self.instance
        if stored.pk is None:
            return
        self.initial.update(
            scope_kind=_scope_kind(stored),
            schedule_zone=(stored.schedule or {}).get("zone", ""),
            schedule_windows=(stored.schedule or {}).get("windows", []),
            seen=stored.updated_at.isoformat(),
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        kind = cleaned.get("scope_kind")
        for name in ("device", "device_type", "group"):
            if name != kind:
                cleaned[name] = None
            elif name not in self.errors and cleaned.get(name) is None:
                self.add_error(name, "Choose which one it applies to.")
        self.instance.all_devices = kind == "all"
        self.document = self._document(cleaned, kind)
        self.instance.schedule = self.document["schedule"]
        self.instance.draft = self.document
        self._check_seen(cleaned.get("seen"))
        self._check(cleaned)
        return cleaned

    def _document(self, cleaned: dict[str, Any], kind: str | None) -> dict[str, Any]:
        """The REST form of what was typed; what is wrong by itself already is left out."""
        names = {"for": "for_seconds", "clear_for": "clear_for_seconds", "max_gap": "max_gap_seconds"}
        plain = ("name", "description", "enabled", "metric", "condition", "consecutive", "gap_policy", "message")
        names |= {name: name for name in plain}
        document = {name: cleaned[field] for name, field in names.items() if field in cleaned}
        overrides = cleaned.get("overrides")
        document["overrides"] = None if overrides is None else overrides.pk
        document["scope"] = {"all": True} if kind == "all" else {kind: cleaned.get(str(kind))}
        document["schedule"] = _schedule(cleaned)
        return document

    def _check(self, cleaned: dict[str, Any]) -> None:
        document = dict(self.document)
        if any(row is None for row in document["scope"].values()):
            del document["scope"]
        else:
            document["scope"] = names_of_scope(document["scope"])
        if "schedule_windows" in self.errors:
            del document["schedule"]
        found = faults(document)
        if "metric" in document:
            found += override_faults(self.instance.pk, document, known_threshold, overriding(self.instance.pk))
        for fault in found:
            self.add_error(_field_of(fault), forms.ValidationError(_detail_of(fault), fault.code))

    def _check_seen(self, seen: str | None) -> None:
        """Somebody else's change must not be overwritten unseen."""
        if self.instance.pk is None or not seen:
            return
        newest = Threshold.objects.filter(pk=self.instance.pk).values_list("updated_at", flat=True).first()
        if newest is not None and newest.isoformat() != seen:
            raise forms.ValidationError(
                "This threshold was changed by somebody else meanwhile: open it anew in another window, and repeat "
                "your changes there.",
                "stale",
            )

    # The threshold is checked as a whole above; the constraint of the table speaks of columns.
    def validate_constraints(self) -> None:
        return


def _schedule(cleaned: dict[str, Any]) -> dict[str, Any] | None:
    zone, windows = cleaned.get("schedule_zone"), cleaned.get("schedule_windows")
    return {"zone": zone or "UTC", "windows": windows} if windows else None


def _field_of(fault: Fault) -> str:
    path = [str(part) for part in fault.path]
    return _FIELDS.get(".".join(path[:2])) or _FIELDS.get(path[0]) or path[0]


def _detail_of(fault: Fault) -> str:
    """What to do, with the number of the window where it is about one."""
    in_window = fault.path[:2] == ("schedule", "windows") and len(fault.path) > 3
    return f"Window {int(fault.path[2]) + 1}: {fault.detail}" if in_window else fault.detail


def _scope_kind(stored: Threshold) -> str:
    for name in ("device", "device_type", "group"):
        if getattr(stored, f"{name}_id") is not None:
            return name
    return "all"


class ValueField(forms.FloatField):
    """A number, shown without ".0"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


class LevelForm(forms.ModelForm):  # type: ignore[type-arg]
    """One row of the table. The second value of each pair counts only for ranges."""

    trigger = ValueField(label="Trigger")
    trigger_high = ValueField(label="to", required=False)
    clear = ValueField(label="Clears at", required=False)
    clear_high = ValueField(label="to", required=False)

    class Meta:
        model = Level
        fields = ["severity", "trigger", "trigger_high", "clear", "clear_high"]

    def as_level(self, condition: str | None) -> dict[str, Any]:
        """Its REST form, for a condition."""
        got = self.cleaned_data
        trigger, clear = got.get("trigger"), got.get("clear")
        if condition in RANGES:
            trigger = _range(trigger, got.get("trigger_high"))
            clear = _range(clear, got.get("clear_high"))
        return {"severity": Severity(got["severity"]).name.lower(), "trigger": trigger, "clear": clear}

    # A severity that stands twice is told by the check of the whole table; rows may also swap theirs.
    def validate_unique(self) -> None:
        return

    def validate_constraints(self) -> None:
        return


def _range(low: float | None, high: float | None) -> Any:
    """[low, high], or what is there of it, which is then told to be no range."""
    return [low, high] if low is not None and high is not None else (low if high is None else [high])


class LevelFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """The table of levels. Once it is valid, ``levels`` are its rows in REST form.

    It is checked after the form of the threshold, which leaves its document at the instance (``draft``).
    """

    def clean(self) -> None:
        super().clean()
        self.levels: list[dict[str, Any]] = []
        rows: list[Any] = [form for form in self.forms if form.has_changed() or form.instance.pk]
        rows = [form for form in rows if form not in self.deleted_forms]
        if any(form.errors for form in rows):
            return
        condition = getattr(self.instance, "draft", {}).get("condition")
        self.levels = [form.as_level(condition) for form in rows]
        self.instance.draft_levels = self.levels
        for fault in level_faults(condition, self.levels):
            self._tell(fault, rows)

    def validate_unique(self) -> None:
        return

    def _tell(self, fault: Fault, rows: list[Any]) -> None:
        error = forms.ValidationError(fault.detail, fault.code)
        if len(fault.path) == 1:
            raise error
        place, field = fault.path[1], fault.path[2] if len(fault.path) > 2 else "severity"
        rows[int(place)].add_error(str(field), error)
