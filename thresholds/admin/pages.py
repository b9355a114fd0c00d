"""The pages of a threshold beside its form: preview, the sentence while one types, and its history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path

from telemetry.admin.audit import change_table
from telemetry.audit_changes import changes
from telemetry.models import AuditEntry
from telemetry.sight import sees_everything
from thresholds import edit
from thresholds.admin.preview import PreviewForm, previewed
from thresholds.api.preview import seen_devices
from thresholds.document import document, names_of_scope
from thresholds.metric_units import MetricUnits
from thresholds.models import Threshold
from thresholds.preview import draft_rule
from thresholds.rule import Rule
from thresholds.sentence import sentence

__all__ = ["ThresholdPages"]

_HISTORY = 100
#: What a draft's errors are told with in the preview.
_FAULTY = "Mend what the form says is wrong, then preview again."


class ThresholdPages(admin.ModelAdmin):  # type: ignore[type-arg]
    """Mixed into the admin of thresholds."""

    def get_urls(self) -> list[Any]:
        """A draft is what the form says, saved or not."""
        wrap = self.admin_site.admin_view
        return [
            path("draft/preview/", wrap(self.draft_preview), name="thresholds_threshold_draft_preview"),
            path("draft/sentence/", wrap(self.draft_sentence), name="thresholds_threshold_draft_sentence"),
            path("<int:pk>/preview/", wrap(self.preview), name="thresholds_threshold_preview"),
            *super().get_urls(),
        ]

    def preview(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Of a threshold as it is stored."""
        self._may_look(request)
        stored = self.get_queryset(request).filter(pk=pk).first()
        if stored is None:
            raise Http404(f"There is no threshold {pk}.")
        rule = draft_rule(document(stored) | {"scope": _scope_of(stored)}, stored.pk)
        form = PreviewForm(request.GET or None)
        context = previewed(rule, form, request.GET.get("series"), seen_devices(request.user))
        return self._answer(request, f"Preview: {stored.name}", stored, context)

    def draft_preview(self, request: HttpRequest) -> HttpResponse:
        """Of what the form says."""
        rule, _ = self._draft(request)
        if rule is None:
            return self._answer(request, "Preview", None, {"problem": _FAULTY})
        form, seen = PreviewForm(request.POST), seen_devices(request.user)
        return self._answer(request, "Preview", None, previewed(rule, form, request.POST.get("series"), seen))

    def draft_sentence(self, request: HttpRequest) -> HttpResponse:
        """{"sentence", "unit"} of what the form says; the sentence is null while that is not a threshold yet."""
        _, form = self._draft(request)
        metric = form.data.get("metric", "")
        draft = form.document
        complete = getattr(form, "complete", None)
        if complete is None:
            return JsonResponse({"sentence": None, "unit": MetricUnits([metric]).everywhere(metric)})
        unit = MetricUnits([metric]).of(form.instance)
        overrides = form.cleaned_data.get("overrides")
        text = sentence(complete | {"scope": names_of_scope(draft["scope"])}, unit, overrides and overrides.name)
        return JsonResponse({"sentence": text, "unit": unit})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Who changed what, from the audit: it knows of changes over the API and by import too."""
        self._may_look(request)
        number = int(object_id) if object_id.isascii() and object_id.isdecimal() else 0
        number = min(number, 2**63 - 1)
        if not sees_everything(request.user) and not self.get_queryset(request).filter(pk=number).exists():
            raise Http404(f"There is no threshold {number}.")
        found = AuditEntry.objects.filter(kind=edit.KIND, object_id=number)[:_HISTORY]
        entries = [
            {
                "at": entry.at,
                "who": entry.who_name,
                "action": entry.action,
                "table": change_table(changes(entry.before, entry.after)) if entry.action == "changed" else "",
            }
            for entry in found
        ]
        name = found[0].object_name if found else f"threshold {number}"
        return self._page(request, f"History: {name}", "thresholds/history.html", {"entries": entries})

    def _draft(self, request: HttpRequest) -> tuple[Rule | None, Any]:
        """The rule that the posted form makes, None while something of it is wrong; and the form."""
        self._may_look(request)
        if request.method != "POST":
            raise Http404("A draft is posted.")
        number = request.POST.get("threshold", "")
        known = self.get_queryset(request)
        stored = known.filter(pk=int(number)).first() if number.isascii() and number.isdecimal() else None
        form: Any = self.get_form(request, stored, change=stored is not None)(request.POST, instance=stored)
        valid = form.is_valid()
        form.instance.draft = form.document
        formsets, _ = self._create_formsets(request, form.instance, change=stored is not None)  # type: ignore[attr-defined]
        if not all(formset.is_valid() for formset in formsets) or not valid:
            return None, form
        form.complete = form.document | {"levels": formsets[0].levels}
        return draft_rule(form.complete, stored.pk if stored else 0), form

    def _may_look(self, request: HttpRequest) -> None:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied

    def _answer(self, request: HttpRequest, title: str, stored: Any, context: dict[str, Any]) -> HttpResponse:
        """A page, or only its middle where a script asks for it."""
        context["stored"] = stored
        if request.headers.get("X-Requested-With") == "fetch":
            return TemplateResponse(request, "thresholds/preview_result.html", context)
        return self._page(request, title, "thresholds/preview.html", context)

    def _page(self, request: HttpRequest, title: str, template: str, context: dict[str, Any]) -> HttpResponse:
        around = self.admin_site.each_context(request) | {"title": title, "opts": self.opts, "media": self.media}
        return TemplateResponse(request, template, around | context)


def _scope_of(stored: Threshold) -> dict[str, Any]:
    """The scope as rows."""
    rows = {"device": stored.device, "device_type": stored.device_type, "group": stored.group}
    named = {kind: row for kind, row in rows.items() if row is not None}
    return named or {"all": True}
