"""The pages of thresholds: the list, and one to make or change."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.models import Alert
from iotplatform.dashboard.alerts_inbox import visible_alerts
from iotplatform.dashboard.page import answer, page
from iotplatform.dashboard.thresholds_choices import WEEKDAYS, device_types, groups, metrics, zones
from iotplatform.dashboard.thresholds_list import SCOPE_NAMES, ThresholdList, visible_thresholds
from telemetry.audit_changes import changes
from telemetry.models import AuditEntry
from telemetry.sight import within_sight_of
from thresholds import edit
from thresholds.api.serializers import Page, ThresholdSerializer
from thresholds.api.thresholds import etag
from thresholds.definition import MAX_CONSECUTIVE
from thresholds.late import late_of_threshold
from thresholds.message import FIELDS as MESSAGE_FIELDS
from thresholds.models import Condition, GapPolicy, Severity, Threshold

__all__ = ["threshold", "threshold_new", "thresholds"]

_HISTORY = 30
_LATE = 20
#: Days of history that the preview looks at.
_RANGES = ((1, "1 d"), (7, "7 d"), (30, "30 d"), (90, "90 d"))


@require_safe
@page("thresholds.view_threshold")
def thresholds(request: HttpRequest) -> HttpResponse:
    """Every threshold that concerns what this person sees, with what it means in a sentence."""
    found = ThresholdList(request)
    context = {
        "list": found,
        "rows": found.rows(),
        "conditions": Condition.choices,
        "scopes": SCOPE_NAMES,
        "metrics": metrics(request.user),
    }
    return answer(request, "dashboard/thresholds/list.html", context | _rights(request.user), status=_status(found))


@require_safe
@page("thresholds.view_threshold", "thresholds.add_threshold")
def threshold_new(request: HttpRequest) -> HttpResponse:
    """A form of a new one; `?device=&metric=` fill it in, `?copy=` takes another as its beginning."""
    copied = _copied(request)
    draft = copied or {
        "scope": _scope(request),
        "metric": request.GET.get("metric", "")[:100],
        "condition": "above",
        "levels": [{"severity": "warning", "trigger": None, "clear": None}],
        "enabled": True,
    }
    context = _editor(request.user, draft) | {"title": "New threshold", "may_save": True}
    return answer(request, "dashboard/thresholds/edit.html", context)


@require_safe
@page("thresholds.view_threshold")
def threshold(request: HttpRequest, id: int) -> HttpResponse:
    """One threshold: to change for whoever may, to look at for everybody else."""
    stored = visible_thresholds(request.user).filter(pk=id).first() if id < 2**63 else None
    if stored is None:
        raise Http404(f"There is no threshold {id}.")
    (shown,) = ThresholdSerializer([stored], many=True, context={"page": Page([stored])}).data
    alerts = visible_alerts(request.user).filter(threshold_id=stored.pk)
    context = _editor(request.user, shown) | {
        "title": stored.name,
        "threshold": stored,
        "etag": etag(stored),
        "sentence": shown["sentence"],
        "unit": shown["unit"],
        "open_alerts": alerts.filter(state__in=Alert.LIVE).count(),
        "history": _history(stored),
        "late": late_of_threshold(stored, _LATE),
        "overridden_by": list(edit.thresholds().filter(overrides=stored.pk)),
    }
    own = within_sight_of(stored, request.user)
    context |= {"may_save": own and context["may_change"], "may_delete": own and context["may_delete"]}
    return answer(request, "dashboard/thresholds/edit.html", context)


def _editor(user: Any, draft: dict[str, Any]) -> dict[str, Any]:
    """What the form offers, and how it is filled in."""
    return {
        "draft_json": draft,
        "preview_ranges": _RANGES,
        "conditions": Condition.choices,
        "severities": [str(severity.label) for severity in Severity],
        "gap_policies": GapPolicy.choices,
        "metrics": metrics(user),
        "device_types": device_types(),
        "groups": groups(user),
        "zones": zones(),
        "weekdays": WEEKDAYS,
        "message_fields": [f"{{{name}}}" for name in MESSAGE_FIELDS],
        "max_consecutive": MAX_CONSECUTIVE,
        "others": _others(user, draft),
        "now": timezone.now(),
    } | _rights(user)


def _rights(user: Any) -> dict[str, bool]:
    return {f"may_{right}": user.has_perm(f"thresholds.{right}_threshold") for right in ("add", "change", "delete")}


def _status(found: ThresholdList) -> int:
    return 400 if found.problem else 200


def _scope(request: HttpRequest) -> dict[str, Any]:
    """As the address says; one device, still to be named, where it does not."""
    for kind in ("device", "device_type", "group"):
        if name := request.GET.get(kind):
            return {kind: name[:1000]}
    return {"device": ""}


def _copied(request: HttpRequest) -> dict[str, Any] | None:
    given = request.GET.get("copy", "")
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        return None
    stored = visible_thresholds(request.user).filter(pk=int(given)).first()
    if stored is None:
        return None
    (shown,) = ThresholdSerializer([stored], many=True, context={"page": Page([stored])}).data
    return {**shown, "name": f"{shown['name']} (copy)"}


def _others(user: Any, draft: dict[str, Any]) -> list[tuple[int, str]]:
    """Thresholds of the same metric, which it could override."""
    rows = visible_thresholds(user).filter(metric=draft.get("metric", "")).exclude(pk=draft.get("id") or 0)
    return [(row.pk, row.name) for row in rows.order_by("name", "id")[:200]]


def _history(stored: Threshold) -> list[tuple[AuditEntry, list[Any]]]:
    """Who changed what, the newest first."""
    entries = AuditEntry.objects.filter(kind=edit.KIND, object_id=stored.pk).order_by("-at", "-id")[:_HISTORY]
    return [(entry, changes(entry.before, entry.after)) for entry in entries]
