"""What silences and routes ask about an alert: a plain record, loaded for many alerts at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from alerts.models import Alert

__all__ = ["Matcher", "Subject", "load_subjects"]


@dataclass(frozen=True, slots=True)
class Subject:
    """An alert with what its device is now; of a deleted device nothing but its name is known."""

    alert_id: int
    threshold_id: int
    device_id: int
    metric: str
    condition: str
    state: str
    severity: int
    imported: bool
    caught_up: bool
    flapping: bool
    device_type_id: int | None = None
    group_path: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    parent_id: int | None = None

    @property
    def live(self) -> bool:
        return self.state in Alert.LIVE


@dataclass(frozen=True, slots=True)
class Matcher:
    """Which alerts are meant; what is None or empty matches everything. All of it must hold."""

    device_id: int | None = None
    device_type_id: int | None = None
    #: The group with everything below it.
    group_path: str | None = None
    threshold_id: int | None = None
    metric: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def matches(self, subject: Subject) -> bool:
        if self.threshold_id is not None and self.threshold_id != subject.threshold_id:
            return False
        if self.device_id is not None and self.device_id != subject.device_id:
            return False
        if self.device_type_id is not None and self.device_type_id != subject.device_type_id:
            return False
        if self.metric and self.metric != subject.metric:
            return False
        if self.group_path is not None and not _lies_below(subject.group_path, self.group_path):
            return False
        return all(subject.labels.get(key) == value for key, value in self.labels.items())


def _lies_below(path: str | None, above: str) -> bool:
    return path is not None and (path == above or path.startswith(f"{above}/"))


_COLUMNS = """
a.id, a.threshold_id, a.device_id, a.metric, a.condition, a.state, a.severity, a.imported, a.caught_up, a.flapping,
d.type_id, g.path, coalesce(d.labels, '{}'::jsonb), d.parent_id
"""


def load_subjects(alert_ids: Sequence[int]) -> dict[int, Subject]:
    """The alerts of these ids that exist, by id."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM alerts_alert a LEFT JOIN telemetry_device d ON d.id = a.device_id "
            "LEFT JOIN telemetry_devicegroup g ON g.id = d.group_id WHERE a.id = ANY(%s)",
            [list(alert_ids)],
        )
        return {row[0]: _subject(row) for row in cursor.fetchall()}


def _subject(row: Sequence[Any]) -> Subject:
    # Django's connection hands JSON over as text, so that its own fields can decode it.
    return Subject(*row[:12], labels=json.loads(row[12]), parent_id=row[13])  # type: ignore[misc]
