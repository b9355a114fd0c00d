"""The pages of exports to look at: all of them, one with its history, and the file of a run."""

from __future__ import annotations

from typing import Any, cast

from django.core.paginator import Paginator
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.exceptions import APIException

from iotplatform.dashboard.page import answer, page
from telemetry.api.exports_file import file_of
from telemetry.exports.failures import ExportFailure
from telemetry.exports.links import LinkExpired, opens
from telemetry.exports.rights import manages_others, sees_devices_of, visible_exports, visible_queries
from telemetry.exports.wording import period_words, sentence
from telemetry.models import ExportRun, ScheduledExport

__all__ = ["export", "export_file", "exports", "found_export", "rights"]

_PAGE = 50
_MAX_ID = 2**63 - 1


@require_safe
@page("telemetry.view_scheduledexport")
def exports(request: HttpRequest) -> HttpResponse:
    """Every export that this person sees, with when it is next due and what became of the last time."""
    user: Any = request.user
    newest = ExportRun.objects.filter(export=OuterRef("pk")).order_by("-id").values("pk")[:1]
    found = visible_exports(user).select_related("query__owner").annotate(newest=Subquery(newest))
    shown: Any = Paginator(found.order_by("name", "id"), _PAGE).get_page(request.GET.get("page"))
    runs = ExportRun.objects.defer("devices").in_bulk([each.newest for each in shown if each.newest])
    unused = visible_queries(user).filter(exports=None).select_related("owner").order_by("name", "id")
    context = {
        "shown": shown,
        "rows": [(each, sentence(each), runs.get(each.newest)) for each in shown],
        "unused": unused[:_PAGE],
        "others": manages_others(user),
    }
    return answer(request, "dashboard/exports/list.html", context | rights(user), part="dashboard/exports/rows.html")


@require_safe
@page("telemetry.view_scheduledexport")
def export(request: HttpRequest, id: int) -> HttpResponse:
    """One export and its history, the newest first."""
    stored = found_export(request, id)
    runs = stored.runs.select_related("requested_by").defer("devices").order_by("-id")
    shown = Paginator(runs, _PAGE).get_page(request.GET.get("page"))
    context = {
        "export": stored,
        "sentence": sentence(stored),
        "shown": shown,
        "rows": [(run, period_words(run.period_start, run.period_end, stored.zone)) for run in shown],
    }
    template, part = "dashboard/exports/export.html", "dashboard/exports/runs.html"
    return answer(request, template, context | rights(request.user), part=part)


@require_safe
@page("telemetry.view_scheduledexport")
def export_file(request: HttpRequest, id: int) -> HttpResponse:
    """The file of a run: for its owner, for who manages exports, and for who was sent a link; if he sees what is in it."""
    run = _runs().filter(pk=id).first() if id <= _MAX_ID else None
    if run is None:
        raise Http404(f"There is no run {id}.")
    user: Any = request.user
    link = request.GET.get("link", "")
    try:
        sent = bool(link) and opens(run, link)
    except LinkExpired:
        sent = False
        if not visible_exports(user).filter(pk=run.export_id).exists():
            return _told(request, "This link is good no more", "Ask whoever runs the export for the file.", 410)
    if not (sent or visible_exports(user).filter(pk=run.export_id).exists()) or not sees_devices_of(run, user):
        raise Http404(f"There is no run {id}.")
    try:
        return cast(HttpResponse, file_of(run))  # one that streams is none by its class alone
    except APIException as error:
        return _told(request, "There is no file", str(error.detail), error.status_code)
    except ExportFailure as error:
        return _told(request, "The file cannot be had just now", str(error), 503)


def found_export(request: HttpRequest, id: int) -> ScheduledExport:
    """One that this person sees. Raises Http404."""
    queryset: QuerySet[ScheduledExport] = visible_exports(request.user).select_related("query__owner")
    found = queryset.filter(pk=id).first() if id <= _MAX_ID else None
    if found is None:
        raise Http404(f"There is no export {id}.")
    return found


def rights(user: Any) -> dict[str, bool]:
    """What the buttons are shown for."""
    return {f"may_{verb}": user.has_perm(f"telemetry.{verb}_scheduledexport") for verb in ("add", "change", "delete")}


def _runs() -> QuerySet[ExportRun]:
    return ExportRun.objects.select_related("export")


def _told(request: HttpRequest, title: str, text: str, status: int) -> HttpResponse:
    return answer(request, "dashboard/exports/no_file.html", {"title": title, "text": text}, status=status)
