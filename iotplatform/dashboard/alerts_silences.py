"""Silences: what is held back now, what will be, and what was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from alerts.models import HeldAlert, Silence
from alerts.silence_words import holds, state
from iotplatform.dashboard.page import answer, page
from iotplatform.dashboard.thresholds_choices import WEEKDAYS, device_types, groups, zones
from telemetry.sight import of_visible_scopes, within_sight
from thresholds.models import Severity
from thresholds.sentence import schedule_phrase

__all__ = ["silences", "visible_silences"]

_PAGE = 50


@dataclass(frozen=True, slots=True)
class Row:
    """What the list shows of a silence."""

    silence: Silence
    #: "in force", "waiting" or "over".
    state: str
    holds: str
    hours: str
    #: Whether its start has passed: then it can be ended, else it is deleted.
    begun: bool
    #: Live alerts that nobody was told of because of it.
    held: int
    #: Whether all that it concerns is in sight of this person, so that he may end it.
    own: bool


@require_safe
@page("alerts.view_silence")
def silences(request: HttpRequest) -> HttpResponse:
    """The list with its form; those that are over stand on a tab of their own."""
    now, over = timezone.now(), request.GET.get("state") == "over"
    seen = visible_silences(request.user)
    found = seen.filter(ends_at__lte=now) if over else seen.filter(Q(ends_at=None) | Q(ends_at__gt=now))
    silences_page = Paginator(found.order_by("-starts_at", "-id"), _PAGE).get_page(request.GET.get("page"))
    numbers = [silence.pk for silence in silences_page]
    held = _held(numbers)
    own = set(Silence.objects.filter(within_sight(request.user), pk__in=numbers).values_list("pk", flat=True))
    user: Any = request.user
    context = {
        "rows": [_row(silence, now, held.get(silence.pk, 0), own=silence.pk in own) for silence in silences_page],
        "page": silences_page,
        "over": over,
        "may_add": user.has_perm("alerts.add_silence"),
        "may_change": user.has_perm("alerts.change_silence"),
        "may_delete": user.has_perm("alerts.delete_silence"),
        "severities": [severity.label for severity in reversed(Severity)],
        "zones": zones(),
        "weekdays": WEEKDAYS,
        "groups": groups(user),
        "device_types": device_types(),
        "now": now,
    }
    return answer(request, "dashboard/alerts/silences.html", context)


def visible_silences(user: Any) -> QuerySet[Silence]:
    """Those that concern a device or group that this person sees, and those that are about none in particular."""
    related = Silence.objects.select_related("device", "group", "device_type", "threshold", "author")
    return of_visible_scopes(related, user)


def _row(silence: Silence, now: datetime, held: int, *, own: bool) -> Row:
    return Row(silence, state(silence, now), holds(silence), _hours(silence), silence.starts_at < now, held, own)


def _hours(silence: Silence) -> str:
    return schedule_phrase(silence.schedule) if silence.schedule else ""


def _held(silences: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for number in HeldAlert.objects.filter(silence__in=silences).values_list("silence", flat=True):
        found[number] = found.get(number, 0) + 1
    return found
