"""What people change on the pages of exports: forms that are sent, checked by the serializers of the API, and answered by
going back to the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST

from iotplatform.dashboard.exports import found_export
from iotplatform.dashboard.exports_explore import query_of_address
from iotplatform.dashboard.page import answer, page, viewer_zone
from telemetry.api.exports_serializers import SavedQuerySerializer, ScheduledExportSerializer
from telemetry.exports import edit
from telemetry.exports.rights import visible_queries
from telemetry.models import SavedQuery, ScheduledExport

__all__ = ["export_delete", "export_edit", "export_new", "export_run", "query_delete"]

_VIEW = "telemetry.view_scheduledexport"
_QUERY_FIELDS = ("route", "query")
_EXPORT_FIELDS = ("every", "weekday", "at", "zone", "period", "days", "format", "destination")
_LONGEST = 20_000


@require_http_methods(["GET", "HEAD", "POST"])
@page(_VIEW, "telemetry.add_scheduledexport", "telemetry.add_savedquery")
def export_new(request: HttpRequest) -> HttpResponse:
    """A form of a new one. The address of Explore fills in its query; `?saved=` takes one that is kept already."""
    saved = _saved(request)
    if request.method != "POST":
        return _form(request, _beginning(request, saved), {}, saved=saved)
    return _save(request, None, saved)


@require_http_methods(["GET", "HEAD", "POST"])
@page(_VIEW, "telemetry.change_scheduledexport", "telemetry.change_savedquery")
def export_edit(request: HttpRequest, id: int) -> HttpResponse:
    """The same form about one that exists."""
    stored = found_export(request, id)
    if request.method != "POST":
        return _form(request, _filled(stored), {}, stored=stored, saved=stored.query)
    return _save(request, stored, stored.query)


@require_POST
@page(_VIEW, "telemetry.change_scheduledexport")
def export_run(request: HttpRequest, id: int) -> HttpResponse:
    """Make a file now; of another period where the form says which."""
    stored = found_export(request, id)
    period = _period(request)
    try:
        edit.run_now(stored, request.user, period)
        messages.success(request, f"{stored.name} is being made; its file shows in the history.")
    except edit.TooManyRuns:
        messages.warning(request, f"{edit.MOST_WAITING} runs of it wait already: let them be made first.")
    return redirect("dashboard:export", id=stored.pk)


@require_POST
@page(_VIEW, "telemetry.delete_scheduledexport")
def export_delete(request: HttpRequest, id: int) -> HttpResponse:
    """With its history and its files in the folder."""
    stored = found_export(request, id)
    edit.delete(stored, request.user)
    messages.success(request, f"{stored.name} is deleted.")
    return redirect("dashboard:exports")


@require_POST
@page(_VIEW, "telemetry.delete_savedquery")
def query_delete(request: HttpRequest, id: int) -> HttpResponse:
    """A saved query, with the exports of it."""
    stored = visible_queries(request.user).filter(pk=id).first() if id < 2**63 else None
    if stored is None:
        raise Http404(f"There is no saved query {id}.")
    edit.delete(stored, request.user)
    messages.success(request, f"{stored.name} is deleted.")
    return redirect("dashboard:exports")


# --- the form ------------------------------------------------------------------------------------------------------


def _save(request: HttpRequest, stored: ScheduledExport | None, saved: SavedQuery | None) -> HttpResponse:
    said = _said(request)
    owner = saved.owner if saved is not None else request.user
    question = SavedQuerySerializer(
        saved, data={name: said[name] for name in ("name", *_QUERY_FIELDS)}, context={"viewer": owner}
    )
    schedule = ScheduledExportSerializer(stored, data=_schedule(said), context={"viewer": request.user}, partial=True)
    good = [question.is_valid(), schedule.is_valid()]
    if not all(good):
        return _form(request, said, _errors(question.errors | schedule.errors), stored=stored, saved=saved, status=400)
    with transaction.atomic():
        saved = _save_query(request, saved, question.validated_data)
        export = stored or ScheduledExport(query=saved, **schedule.validated_data)
        if stored is None:
            edit.create(export, request.user)
        else:
            edit.change(export, request.user, schedule.validated_data)
    messages.success(request, f"{export.name} is saved.")
    return redirect("dashboard:export", id=export.pk)


def _save_query(request: HttpRequest, saved: SavedQuery | None, values: dict[str, Any]) -> SavedQuery:
    if saved is None:
        saved = SavedQuery(owner_id=request.user.pk, **values)
        edit.create(saved, request.user)
    else:
        edit.change(saved, request.user, values)
    return saved


def _form(
    request: HttpRequest,
    draft: Mapping[str, Any],
    errors: Mapping[str, str],
    *,
    stored: ScheduledExport | None = None,
    saved: SavedQuery | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "draft": draft,
        "errors": errors,
        "stored": stored,
        "saved": saved,
        "title": stored.name if stored else "New export",
        "weekdays": [(day.name.lower(), day.label) for day in ScheduledExport.Weekday],
        "has_store": bool(settings.PLATFORM.export_s3_endpoint),
        "has_mail": not settings.EMAIL_BACKEND.endswith("dummy.EmailBackend"),
    }
    return answer(request, "dashboard/exports/edit.html", context, status=status)


def _beginning(request: HttpRequest, saved: SavedQuery | None) -> dict[str, Any]:
    query = saved.query if saved else query_of_address(request.META.get("QUERY_STRING", "")[:_LONGEST])
    return {
        "name": saved.name if saved else "",
        "route": saved.route if saved else "aggregates",
        "query": query,
        "every": "daily",
        "weekday": "monday",
        "at": "06:00",
        "zone": viewer_zone(request).key,
        "period": "yesterday",
        "days": 7,
        "format": "csv",
        "destination": "folder",
        "recipients": "",
        "enabled": True,
    }


def _filled(stored: ScheduledExport) -> dict[str, Any]:
    shown = ScheduledExportSerializer(stored).data
    query = {"route": stored.query.route, "query": stored.query.query}
    return {**shown, **query, "recipients": "\n".join(stored.recipients), "days": stored.days or 7}


def _said(request: HttpRequest) -> dict[str, Any]:
    said: dict[str, Any] = {name: request.POST.get(name, "") for name in ("name", *_QUERY_FIELDS, *_EXPORT_FIELDS)}
    return {**said, "recipients": request.POST.get("recipients", ""), "enabled": "enabled" in request.POST}


def _schedule(said: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: said[name] for name in ("name", *_EXPORT_FIELDS)}
    # Fields that the choice made hides are sent all the same.
    values["weekday"] = values["weekday"] or None if said["every"] == "weekly" else None
    values["days"] = values["days"] or None if said["period"] == "last_days" else None
    recipients = said["recipients"].replace(",", " ").replace(";", " ").split()
    return {**values, "recipients": recipients, "enabled": said["enabled"]}


def _errors(found: Mapping[str, Any]) -> dict[str, str]:
    """Field → the first thing that is wrong with it."""
    return {name: str(_first(said)) for name, said in found.items()}


def _first(said: Any) -> Any:
    while isinstance(said, list | dict):
        said = next(iter(said.values() if isinstance(said, dict) else said))
    return said


def _saved(request: HttpRequest) -> SavedQuery | None:
    given = request.GET.get("saved", "")
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        return None
    return visible_queries(request.user).filter(pk=int(given)).first()


def _period(request: HttpRequest) -> tuple[datetime, datetime] | None:
    """That of a run that is made again; None where the form says none."""
    try:
        start, end = (parse_datetime(request.POST.get(name, "")) for name in ("start", "end"))
    except ValueError:
        return None
    if start is None or end is None or start.tzinfo is None or end.tzinfo is None or start >= end:
        return None
    return start, end
