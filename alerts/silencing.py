"""Silences and recurring maintenance windows: whether one holds an alert back just now. Pure but for loading them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q

from alerts.models import Silence
from alerts.subject import Matcher, Subject
from thresholds.schedule import Schedule, ScheduleError, parse

__all__ = ["SilenceRule", "active_silences", "in_force", "silence_of"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SilenceRule:
    silence_id: int
    reason: str
    author: str
    matcher: Matcher
    #: Alerts above it are sent all the same.
    max_severity: int

    def matches(self, subject: Subject) -> bool:
        return subject.severity <= self.max_severity and self.matcher.matches(subject)

    @property
    def sentence(self) -> str:
        """Why nothing was sent, for the timeline."""
        by = f" by {self.author}" if self.author else ""
        return f"Silenced{by}: {self.reason}"


def in_force(starts_at: datetime, ends_at: datetime | None, schedule: Schedule | None, now: datetime) -> bool:
    """Whether a silence holds at this moment: [start, end), and within its weekly hours where it has some."""
    if now < starts_at or (ends_at is not None and now >= ends_at):
        return False
    return schedule is None or schedule.contains(round(now.astimezone(UTC).timestamp() * 1e6))


def silence_of(silences: Iterable[SilenceRule], subject: Subject) -> SilenceRule | None:
    """The silence that holds this alert back; None where none does."""
    return next((silence for silence in silences if silence.matches(subject)), None)


def active_silences(now: datetime) -> list[SilenceRule]:
    """Those that are in force, the earliest first."""
    begun = Silence.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now)
    return [
        _rule(silence)
        for silence in begun.select_related("group", "author").order_by("starts_at", "id")
        if _holds(silence, now)
    ]


def _holds(silence: Silence, now: datetime) -> bool:
    try:
        return in_force(silence.starts_at, silence.ends_at, parse(silence.schedule), now)
    except ScheduleError as error:
        # Only written past all checks; rather one message too many than none at all.
        logger.error("silence_schedule_wrong", extra={"silence": silence.pk, "why": str(error)})
        return False


def _rule(silence: Silence) -> SilenceRule:
    return SilenceRule(
        silence_id=silence.pk,
        reason=silence.reason,
        author=silence.author.get_username() if silence.author else "",
        matcher=Matcher(
            device_id=silence.device_id,
            device_type_id=silence.device_type_id,
            group_path=silence.group.path if silence.group else None,
            threshold_id=silence.threshold_id,
            metric=silence.metric,
            labels=silence.labels,
        ),
        max_severity=silence.max_severity,
    )
