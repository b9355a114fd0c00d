"""What a threshold, saved or not, would have done over stored history: the evaluator that judges, over what is stored.

It begins at its start as if nothing had been before: what was breaching already opens anew there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from psycopg.errors import QueryCanceled

from telemetry.models import Device
from telemetry.query.columns import Columns, columns_of
from thresholds.backtest import judge_in_parts
from thresholds.document import columns, level_columns
from thresholds.matching import MatchingSeries, matching_series
from thresholds.notices import PreviewAlert, fold, notices
from thresholds.rule import Flapping, Rule, make_rule

__all__ = [
    "DEFAULT_RANGE",
    "MAX_ALERTS",
    "MAX_READINGS",
    "MAX_SERIES",
    "Busy",
    "Preview",
    "TooExpensive",
    "draft_rule",
    "preview",
]

#: µs: what is looked at where no start is given.
DEFAULT_RANGE = 30 * 86_400_000_000
#: Series that are judged; the others only count.
MAX_SERIES = 200
MAX_READINGS = 5_000_000
#: Alerts that are listed; all are counted.
MAX_ALERTS = 1000
#: Below the deadline of a request, so that it is told what to narrow.
_SECONDS = 5.0
_PATIENCE = 2.0
# Judging keeps a core busy: two at once in a web process would hold up the readings that it takes.
_turn = threading.Semaphore(1)


class TooExpensive(Exception):
    """It would read or take too much; the text says what to narrow."""


class Busy(Exception):
    """Another preview is being made."""


@dataclass(slots=True)
class Preview:
    """What came of it. Times in µs since 1970, the range is [start, end)."""

    start: int
    end: int
    #: How many alerts opened, and how many messages one channel would have had for them (see thresholds.notices).
    openings: int = 0
    notifications: int = 0
    #: The first MAX_ALERTS of them, by opening.
    alerts: list[PreviewAlert] = field(default_factory=list)
    #: How many series match, and how many of them were judged.
    matching: int = 0
    judged: int = 0
    readings: int = 0

    @property
    def truncated(self) -> bool:
        """Whether series were left out, or alerts are not listed."""
        return self.judged < self.matching or len(self.alerts) < self.openings


def draft_rule(checked: Mapping[str, Any], threshold_id: int = 0) -> Rule:
    """What judging reads of a document without faults whose scope names rows (see thresholds.document.columns)."""
    of_row = columns(checked)
    return make_rule(
        threshold_id=threshold_id,
        metric=of_row["metric"],
        condition=of_row["condition"],
        levels=[level_columns(level) for level in checked["levels"]],
        for_seconds=of_row["for_seconds"],
        consecutive=of_row["consecutive"],
        clear_for_seconds=of_row["clear_for_seconds"],
        max_gap_seconds=of_row["max_gap_seconds"],
        gap_policy=of_row["gap_policy"],
        schedule=of_row["schedule"],
        device_id=_key(of_row["device"]),
        device_type_id=_key(of_row["device_type"]),
        group_id=_key(of_row["group"]),
    )


def preview(rule: Rule, start: int, end: int, now: int, devices: QuerySet[Device] | None = None) -> Preview:
    """Judge the stored readings of every series in a rule's scope, with event times in [start, end).

    Series on which an enabled threshold overrides this one are left out, as judging leaves them out; so are those of
    other devices than these, where some are given. Raises TooExpensive or Busy.
    """
    with _one_at_a_time():
        clock = Clock()
        matching = matching_series(rule, MAX_SERIES, devices)
        result = Preview(start, end, matching=matching.total)
        alerts: list[PreviewAlert] = []
        for series in matching.series:
            found = _read(series, result, clock)
            alerts += judged_alerts(rule, series, found, min(end, now), clock)
            result.readings += len(found.times)
            result.judged += 1
        alerts.sort(key=lambda alert: (alert.opened_at, alert.series.id))
        result.openings, result.alerts = len(alerts), alerts[:MAX_ALERTS]
        result.notifications = notices(alerts, settings.PLATFORM.alert_group_seconds)
    return result


def judged_alerts(rule: Rule, series: MatchingSeries, found: Columns, until: int, clock: Clock) -> list[PreviewAlert]:
    """What one series' readings would have opened, in order. Raises TooExpensive."""
    steps = judge_in_parts(
        rule, found.times, found.values, series.expected_interval, flapping(), until, check=clock.left
    )
    alerts = fold(series, steps, silent=rule.condition == "silent")
    if alerts and alerts[-1].ended_at is None and rule.condition == "silent":
        alerts[-1].extreme = (until - int(found.times[-1])) / 1e6
    return alerts


def flapping() -> Flapping:
    """As the settings say."""
    return Flapping(settings.PLATFORM.alert_flapping_openings, round(settings.PLATFORM.alert_flapping_minutes * 60e6))


class Clock:
    """How long a preview may still take."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _SECONDS

    def left(self) -> float:
        """Seconds. Raises TooExpensive where none are left."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TooExpensive("This takes too long: take a shorter range, or a narrower scope.")
        return left


def _read(series: MatchingSeries, result: Preview, clock: Clock) -> Columns:
    left = MAX_READINGS - result.readings
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{clock.left() * 1000:.0f}ms"])
            found = columns_of(series.id, result.start, result.end, left + 1)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooExpensive("This reads for too long: take a shorter range, or a narrower scope.") from error
        raise
    if len(found.times) > left:
        raise TooExpensive(
            f"This reads more than {MAX_READINGS:,} readings: take a shorter range, or a narrower scope."
        )
    return found


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _turn.acquire(timeout=_PATIENCE):
        raise Busy("Another preview is being made; try again shortly.")
    try:
        yield
    finally:
        _turn.release()


def _key(row: Any) -> int | None:
    return None if row is None else int(row.pk)
