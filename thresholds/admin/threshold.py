"""Thresholds in the admin: a form with a table of levels, what it means in a sentence, a preview, who changed what."""

from __future__ import annotations

import copy
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from telemetry.admin.ages import ago
from telemetry.admin.things import SeenAdmin, SeenGroupsFilter
from telemetry.sight import of_visible_scopes, sees_everything, within_sight_of
from thresholds import edit
from thresholds.admin.form import LevelForm, LevelFormSet, ThresholdForm
from thresholds.admin.pages import ThresholdPages
from thresholds.admin.preview import PreviewForm
from thresholds.bundle import bundle, dump
from thresholds.document import document
from thresholds.late import Late, late_of_threshold, late_sums
from thresholds.metric_units import MetricUnits
from thresholds.models import Level, Severity, Threshold
from thresholds.sentence import sentence

__all__ = ["ThresholdAdmin", "late_table"]

SEVERITY_COLOURS = {"info": "info", "warning": "warning", "major": "warning", "critical": "danger"}


class LevelInline(TabularInline):
    """Whoever may do something with a threshold may do it with its levels."""

    model = Level
    form = LevelForm
    formset = LevelFormSet
    fields = ["severity", "trigger", "trigger_high", "clear", "clear_high"]
    verbose_name = "level"
    verbose_name_plural = "Levels"
    max_num = len(Severity)
    hide_title = True
    ordering = ["severity"]
    template_before = "thresholds/level_help.html"

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 1 if obj is None else 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("thresholds.change_threshold" if obj else "thresholds.add_threshold")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("thresholds.view_threshold") or self.has_add_permission(request, obj)


@admin.register(Threshold)
class ThresholdAdmin(ThresholdPages, SeenAdmin):
    form = ThresholdForm
    inlines = [LevelInline]
    list_display = ["name_and_sentence", "severities", "late", "changed", "enabled"]
    list_filter = [
        ("enabled", BooleanRadioFilter),
        ("condition", ChoicesDropdownFilter),
        ("device_type", RelatedDropdownFilter),
        ("group", SeenGroupsFilter),
    ]
    list_filter_submit = True
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["name", "description", "metric", "device__name"]
    search_help_text = "Name, description, metric or device"
    ordering = ["name", "id"]
    autocomplete_fields = ["device", "device_type", "group", "overrides"]
    readonly_fields = ["late_readings"]
    actions = ["enable", "disable", "export"]
    change_form_outer_before_template = "thresholds/sentence.html"
    change_form_outer_after_template = "thresholds/preview_panel.html"
    warn_unsaved_form = True
    fieldsets = [
        (None, {"fields": [("name", "enabled")]}),
        ("On what", {"fields": ["scope_kind", "device", "device_type", "group", ("metric", "condition")]}),
        ("How long", {"fields": [("for_seconds", "consecutive"), ("clear_for_seconds",)]}),
        ("Gaps in the data", {"classes": ["collapse"], "fields": [("max_gap_seconds", "gap_policy")]}),
        ("Schedule", {"classes": ["collapse"], "fields": [("schedule_windows", "schedule_zone")]}),
        ("More", {"classes": ["collapse"], "fields": ["message", "description", "overrides", "seen"]}),
    ]

    class Media:
        js = ["thresholds/threshold_form.js"]
        css = {"all": ["thresholds/thresholds.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Threshold]:
        return self.in_sight(edit.thresholds(), request.user).order_by(*self.ordering)

    def in_sight(self, rows: QuerySet[Threshold], user: Any) -> QuerySet[Threshold]:
        return of_visible_scopes(rows, user)

    def may_manage(self, thing: Threshold, user: Any) -> bool:
        return within_sight_of(thing, user)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Who sees some groups only makes thresholds for these, and for single devices of them."""
        form = super().get_form(request, obj, change, **kwargs)
        if not sees_everything(request.user) and "scope_kind" in form.base_fields:
            scope: Any = copy.deepcopy(form.base_fields["scope_kind"])
            scope.choices = [(kind, label) for kind, label in scope.choices if kind in ("device", "group")]
            form.base_fields["scope_kind"] = scope
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.fieldsets
        late = ("Late readings", {"fields": ["late_readings"]})
        return [*self.fieldsets, *([late] if late_of_threshold(obj, 1) else [])]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Units and late readings of the page are asked for once."""
        changelist = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        request.threshold_units = MetricUnits(row.metric for row in rows)  # type: ignore[attr-defined]
        request.threshold_late = late_sums(row.pk for row in rows)  # type: ignore[attr-defined]
        for row in rows:
            row.unit = request.threshold_units.of(row)  # type: ignore[attr-defined]
            row.late_sum = request.threshold_late.get(row.pk)  # type: ignore[attr-defined]
        changelist.result_list = rows
        return changelist

    @display(description="Threshold", ordering="name")
    def name_and_sentence(self, threshold: Any) -> SafeString:
        return format_html(
            '<span class="font-semibold text-important">{}</span><br><span class="whitespace-normal">{}</span>',
            threshold.name,
            meaning_of(threshold, threshold.unit),
        )

    @display(description="Severities")
    def severities(self, threshold: Threshold) -> SafeString:
        names = [Severity(level.severity).name.lower() for level in threshold.levels.all()]
        return format_html_join(" ", '<span class="severity severity-{}">{}</span>', ((name, name) for name in names))

    @display(description="Late")
    def late(self, threshold: Any) -> SafeString | None:
        if threshold.late_sum is None:
            return None
        title = "Readings that came after newer ones and would have breached: they moved nothing."
        return format_html('<span title="{}">{}</span>', title, f"{threshold.late_sum.count:,}")

    @display(description="Changed", ordering="updated_at")
    def changed(self, threshold: Threshold) -> SafeString | None:
        return ago(threshold.updated_at, timezone.now())

    @display(description="Would have breached")
    def late_readings(self, threshold: Threshold) -> SafeString:
        return late_table(late_of_threshold(threshold), by_device=True)

    @admin.action(description="Enable the selected thresholds", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Threshold]) -> None:
        count = edit.switch(self._managed(request, queryset), request.user, enabled=True)
        messages.success(request, f"{count} thresholds enabled. They judge what is stored from now on.")

    @admin.action(description="Disable the selected thresholds", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Threshold]) -> None:
        count = edit.switch(self._managed(request, queryset), request.user, enabled=False)
        messages.success(request, f"{count} thresholds disabled. Their open alerts are closed within seconds.")

    @admin.action(description="Export the selected thresholds (YAML)", permissions=["view"])
    def export(self, request: HttpRequest, queryset: QuerySet[Threshold]) -> HttpResponse:
        answer = HttpResponse(dump(bundle(queryset, request.user), "yaml"), content_type="application/yaml")
        answer["Content-Disposition"] = 'attachment; filename="thresholds.yaml"'
        return answer

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        stored = kwargs.get("obj")
        if stored is not None and stored.pk is not None:
            # As it is stored, whatever the form says just now.
            stored = edit.thresholds().get(pk=stored.pk)
            context["unit"] = MetricUnits([stored.metric]).of(stored)
            context["meaning"] = meaning_of(stored, context["unit"])
        context["preview_form"] = PreviewForm(initial={"days": "30"})
        return super().render_change_form(request, context, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST":
            # Until the transaction of this view ends nobody else edits: what is checked is what is saved.
            with edit.transaction.atomic():
                edit.hold_edits()
                return super().changeform_view(request, *args, **kwargs)
        return super().changeform_view(request, *args, **kwargs)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Nothing is saved yet: the levels have still to be checked."""
        return form.instance

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        """Saved with its levels in `save_related`, which needs the row's id for a new one: hence all of it here."""
        checked = obj.draft | {"levels": obj.draft_levels}
        made = edit.change(obj.pk, checked, request.user) if change else edit.create(checked, request.user)
        obj.pk, obj.updated_at, obj._state.adding = made.pk, made.updated_at, False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        for formset in formsets:
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    def delete_model(self, request: HttpRequest, obj: Threshold) -> None:
        edit.delete([obj.pk], request.user)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Threshold]) -> None:
        edit.delete(self._managed(request, queryset), request.user)

    def _managed(self, request: HttpRequest, queryset: QuerySet[Threshold]) -> list[int]:
        return [row.pk for row in queryset if within_sight_of(row, request.user)]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Levels go with their threshold: that takes no permission of its own."""
        deletable, counts, _, protected = super().get_deleted_objects(objs, request)
        return deletable, counts, set(), protected


def meaning_of(threshold: Threshold, unit: str) -> str:
    """Its sentence."""
    return sentence(document(threshold), unit, threshold.overrides.name if threshold.overrides else None)


def late_table(rows: list[Late], *, by_device: bool) -> SafeString:
    """Late readings that would have breached, of a threshold by device, or of a device by threshold."""
    now: datetime = timezone.now()
    cells = format_html_join(
        "",
        '<tr><td class="pr-4 py-1">{}</td><td class="pr-4 py-1">{}</td><td class="py-1">{}</td></tr>',
        ((row.device if by_device else row.threshold, f"{row.count:,}", ago(row.newest, now) or "") for row in rows),
    )
    head = "Device" if by_device else "Threshold"
    return format_html(
        '<p class="mb-2">They came after newer readings of their series, so they opened nothing.</p><table class="text-left">'
        '<thead><tr><th class="pr-4">{}</th><th class="pr-4">Readings</th><th>Newest measured</th></tr></thead>'
        "<tbody>{}</tbody></table>",
        head,
        cells,
    )
