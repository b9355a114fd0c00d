"""The pages of alerts: the inbox with what is live of it, and one alert."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.api.alerts import detailed
from alerts.assignees import assignees
from alerts.explain import explain
from alerts.models import Alert
from iotplatform.dashboard.alerts_groups import addressed, grouped
from iotplatform.dashboard.alerts_inbox import MOST, Counts, Inbox, live_counts, visible_alerts
from iotplatform.dashboard.alerts_rows import row_of, rule_lines, sparks_of
from iotplatform.dashboard.page import answer, is_live, page
from iotplatform.dashboard.thresholds_choices import groups
from thresholds.models import Severity, Threshold

__all__ = ["alert", "inbox", "sparks"]

_MAX_ID = 2**63 - 1
#: Names that are offered for an assignment.
_OFFERED = 200
#: Small charts that are drawn at once.
_SPARKS = 50
_TOP = "dashboard/alerts/top.html"
#: Of the page of one alert, by the id of the element that asks.
_PARTS = {"alert-words": "dashboard/alerts/words.html", "alert-log": "dashboard/alerts/log.html"}
_BESIDE = {"next": 1, "previous": -1}
_LENGTHS = ((3600, "1 hour"), (4 * 3600, "4 hours"), (86_400, "1 day"), (7 * 86_400, "1 week"))


@require_safe
@page("alerts.view_alert")
def inbox(request: HttpRequest) -> HttpResponse:
    """Alerts as the query asks for them: the worst first, by page or in groups."""
    asked = Inbox(request)
    context = _listed(asked)
    state = _state_of(context)
    if unchanged := _unchanged(request, state):
        return unchanged
    context |= _person(request.user) | {"severities": [each.label for each in reversed(Severity)]}
    status = 400 if asked.problem and not is_live(request) else 200
    response = answer(request, "dashboard/alerts/inbox.html", context, part="dashboard/alerts/list.html", status=status)
    response["ETag"] = _etag(state)
    return response


@require_safe
@page("alerts.view_alert")
def alert(request: HttpRequest, id: int) -> HttpResponse:
    """One alert: why it opened, what happened to it, what can be done."""
    context = _one(request, id)
    shown: Alert = context["alert"]
    state = (context["row"].version, len(context["timeline"]), shown.readings, context["explanation"])
    if unchanged := _unchanged(request, state):
        return unchanged
    context |= _person(request.user)
    response = answer(
        request, "dashboard/alerts/alert.html", context, part=_PARTS.get(request.headers.get("X-Live", ""), _TOP)
    )
    response["ETag"] = _etag(state)
    return response


@require_safe
@page("alerts.view_alert")
def sparks(request: HttpRequest) -> HttpResponse:
    """{id: SVG} of the last hour of these alerts' series (`?id=`, at most a page of them), with their limits."""
    given = [value for value in request.GET.getlist("id") if value.isascii() and value.isdigit() and len(value) < 19]
    shown = visible_alerts(request.user).filter(pk__in=given[:_SPARKS]).defer("rule", "evidence")
    return JsonResponse(sparks_of(list(shown), timezone.now()))


def _listed(asked: Inbox) -> dict[str, Any]:
    """What the list shows."""
    counts = live_counts(asked.user)
    context: dict[str, Any] = {"inbox": asked, "counts": counts, "now": timezone.now(), "most": MOST}
    if asked.by and not asked.problem:
        number = _page_number(asked)
        found, more = grouped(asked.alerts, asked.by, number)
        context |= {"groups": addressed(found, asked), "group_page": number, "more_groups": more}
        context |= {f"group_{name}": asked.query(page=str(number + step)) for name, step in _BESIDE.items()}
    else:
        page_of_alerts = asked.page()
        context |= {"page": page_of_alerts, "rows": [row_of(each, asked.user) for each in page_of_alerts.alerts]}
    context["total"] = asked.total() if not asked.problem else 0
    context["filters_json"] = json.dumps(asked.filters)
    return context


def _page_number(asked: Inbox) -> int:
    given = asked.asked.get("page", "")
    return min(int(given), MOST) if given.isascii() and given.isdigit() else 0


def _person(user: Any) -> dict[str, Any]:
    """What the person at the screen may do."""
    may_change = user.has_perm("alerts.change_alert")
    return {
        "may_change": may_change,
        "may_silence": user.has_perm("alerts.add_silence"),
        "assignees": list(assignees().values_list("username", flat=True)[:_OFFERED]) if may_change else [],
        "groups_known": groups(user),
        "me": user.get_username(),
        "silence_lengths": _LENGTHS,
    }


def _one(request: HttpRequest, number: int) -> dict[str, Any]:
    """What the page of one alert shows. Raises Http404."""
    seen = visible_alerts(request.user).filter(pk=min(number, _MAX_ID)).exists()
    shown = detailed().filter(pk=number).first() if seen else None
    if shown is None:
        raise Http404(f"There is no alert {number}.")
    asked_for = request.headers.get("X-Live", "")
    pair = visible_alerts(request.user).filter(threshold_id=shown.threshold_id, series_id=shown.series_id)
    beside = visible_alerts(request.user).filter(device_id=shown.device_id, state__in=Alert.LIVE).exclude(pk=shown.pk)
    threshold = Threshold.objects.filter(pk=shown.threshold_id).first() if shown.threshold_id else None
    return {
        "alert": shown,
        "row": row_of(shown, request.user),
        "lines_json": json.dumps(rule_lines(shown)),
        "since": shown.evidence.get("since") if isinstance(shown.evidence, dict) else None,
        "explanation": explain(shown).parts if asked_for in ("", "alert-words") else [],
        "timeline": [(event, Severity(event.severity).label if event.severity else "") for event in _newest(shown)],
        "threshold": threshold,
        "earlier": [row_of(each, request.user) for each in pair.exclude(pk=shown.pk).order_by("-opened_at", "-id")[:5]],
        "beside": beside.count() if shown.device_id else 0,
        "now": timezone.now(),
    }


def _newest(shown: Alert) -> list[Any]:
    return list(reversed(shown.timeline.all()))  # type: ignore[attr-defined]


def _state_of(context: dict[str, Any]) -> tuple[Any, ...]:
    """All that decides how the list looks, the passing of time apart."""
    counts: Counts = context["counts"]
    rows = [(row.alert.pk, row.version) for row in context.get("rows", ())]
    return (rows, context.get("groups"), counts, context["total"], context["inbox"].problem)


def _etag(state: Any) -> str:
    return f'"{hashlib.blake2s(repr(state).encode(), digest_size=12).hexdigest()}"'


def _unchanged(request: HttpRequest, state: Any) -> HttpResponse | None:
    """304 where live.js has this already: nothing is drawn then."""
    etag = _etag(state)
    if not is_live(request) or request.headers.get("If-None-Match") != etag:
        return None
    return HttpResponse(status=304, headers={"ETag": etag})
