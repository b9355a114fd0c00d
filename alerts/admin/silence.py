"""Silences and recurring maintenance windows in the admin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from alerts import silence_words
from alerts.admin.audited import AuditedAdmin
from alerts.admin.form_fields import LabelsField
from alerts.api.documents import document
from alerts.api.silence_serializers import silence_faults
from alerts.models import Silence
from telemetry.admin.things import SeenAdmin
from telemetry.audit import audit
from telemetry.sight import of_visible_scopes, within_sight_of
from thresholds.admin.form import known_metrics, known_zones
from thresholds.admin.form_fields import SuggestionsWidget, WindowsField
from thresholds.schedule import problems

__all__ = ["SilenceAdmin"]


class SilenceForm(forms.ModelForm):  # type: ignore[type-arg]
    """What it leaves empty matches everything."""

    labels = LabelsField(help_text="One a line; the device must have all of them.")
    metric = forms.CharField(
        required=False, max_length=100, widget=SuggestionsWidget(known_metrics), help_text="Empty: every metric."
    )
    starts_at = forms.SplitDateTimeField(
        label="Starts", required=False, widget=UnfoldAdminSplitDateTimeWidget(), help_text="UTC. Empty: now."
    )
    ends_at = forms.SplitDateTimeField(
        label="Ends",
        required=False,
        widget=UnfoldAdminSplitDateTimeWidget(),
        help_text="UTC. Empty only with weekly hours.",
    )
    schedule_windows = WindowsField(
        label="Only in these weekly hours",
        help_text='One window a line, such as "sat 22:00-06:00" or "mon-fri 12:00-13:00". Empty: all the time.',
    )
    schedule_zone = forms.CharField(
        label="Time zone",
        required=False,
        max_length=100,
        widget=SuggestionsWidget(known_zones),
        help_text="Such as Europe/Berlin. Empty: UTC.",
    )

    class Meta:
        model = Silence
        fields = ["device", "group", "device_type", "threshold", "metric", "labels", "max_severity", "starts_at"]
        fields += ["ends_at", "reason"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        schedule = self.instance.schedule or {}
        self.initial["schedule_zone"] = schedule.get("zone", "")
        self.initial["schedule_windows"] = schedule.get("windows", [])

    #: Who fills it in; None: the platform itself.
    viewer: Any = None

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        whose = SimpleNamespace(device=cleaned.get("device"), group=cleaned.get("group"))
        if not within_sight_of(whose, self.viewer):
            self.add_error(
                "group", "You see the devices of some groups only: choose one of these, or a device of them."
            )
        if not self.errors.keys() & {"starts_at", "ends_at", "schedule_windows"}:
            cleaned["starts_at"] = cleaned.get("starts_at") or self.instance.starts_at or timezone.now()
            self.instance.schedule = self._schedule(cleaned)
            found = silence_faults(cleaned["starts_at"], cleaned.get("ends_at"), self.instance.schedule)
            for field, detail in found.items():
                self.add_error(field, detail)
        return cleaned

    def _schedule(self, cleaned: dict[str, Any]) -> dict[str, Any] | None:
        windows = cleaned.get("schedule_windows")
        if not windows:
            return None
        schedule = {"zone": cleaned.get("schedule_zone") or "UTC", "windows": windows}
        for where, what in problems(schedule):
            self.add_error("schedule_zone" if where == "zone" else "schedule_windows", what)
        return schedule


@admin.register(Silence)
class SilenceAdmin(AuditedAdmin, SeenAdmin):
    kind = "silence"
    form = SilenceForm
    list_display = ["reason", "state", "holds", "starts_at", "ends_at", "author"]
    search_fields = ["reason", "device__name"]
    autocomplete_fields = ["device", "group", "device_type", "threshold"]
    actions = ["end_now"]
    fieldsets = [
        (None, {"fields": ["reason", ("starts_at", "ends_at")]}),
        (
            "Which alerts",
            {"fields": [("device", "group"), ("device_type", "threshold"), ("metric", "max_severity"), "labels"]},
        ),
        ("Recurring", {"fields": [("schedule_windows", "schedule_zone")]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Silence]:
        return super().get_queryset(request).select_related("device", "group", "device_type", "threshold", "author")

    def in_sight(self, rows: QuerySet[Silence], user: Any) -> QuerySet[Silence]:
        return of_visible_scopes(rows, user)

    def may_manage(self, thing: Silence, user: Any) -> bool:
        return within_sight_of(thing, user)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.viewer = request.user
        return form

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        if not change:
            obj.author = request.user  # type: ignore[assignment]
        super().save_model(request, obj, form, change)

    @admin.action(description="End the selected silences now", permissions=["change"])
    def end_now(self, request: HttpRequest, queryset: QuerySet[Silence]) -> None:
        now, count = timezone.now(), 0
        with transaction.atomic():
            for silence in Silence.objects.filter(pk__in=queryset.values("pk")).select_for_update():
                if not within_sight_of(silence, request.user):
                    continue
                if silence.starts_at >= now or (silence.ends_at is not None and silence.ends_at <= now):
                    continue
                before = document(silence)
                silence.ends_at = now
                silence.save(update_fields=["ends_at"])
                audit(self.kind, silence.pk, str(silence), "changed", request.user, before, document(silence))
                count += 1
        messages.success(
            request, f"{count} silences ended. What they held back and is still open is told within seconds."
        )

    @display(description="State", label={"in force": "warning", "waiting": "info", "over": "success"})
    def state(self, silence: Silence) -> str:
        return silence_words.state(silence, timezone.now())

    @display(description="Holds back")
    def holds(self, silence: Silence) -> str:
        return silence_words.holds(silence)
