"""Every change of thresholds: one function each, in one transaction, written down with who did it.

Edits wait for each other (an advisory lock until COMMIT): two at once could otherwise override each other in a circle, or
lose one's levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, transaction

from telemetry.audit import audit
from telemetry.models import Device
from thresholds.document import columns, document, level_columns
from thresholds.models import Level, Threshold

__all__ = ["KIND", "change", "create", "delete", "delete_with_device", "hold_edits", "switch", "thresholds"]

#: What the audit calls them.
KIND = "threshold"
_LOCK = 0x7468_7265_7368  # "thresh"


def thresholds() -> Any:
    """Thresholds with all that their REST form shows, without a query for each."""
    return Threshold.objects.select_related("device__type", "device_type", "group", "overrides").prefetch_related(
        "levels"
    )


def hold_edits() -> None:
    """Until this transaction ends, no other one edits thresholds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


@transaction.atomic
def create(checked: Mapping[str, Any], user: Any) -> Threshold:
    """A new threshold of a document without faults, its scope as rows (see thresholds.document.columns)."""
    hold_edits()
    threshold = Threshold.objects.create(**columns(checked))
    _write_levels(threshold, _levels(checked))
    made: Threshold = thresholds().get(pk=threshold.pk)
    audit(KIND, made.pk, made.name, "created", user, None, document(made))
    return made


@transaction.atomic
def change(threshold_id: int, checked: Mapping[str, Any], user: Any) -> Threshold:
    """The threshold made as the document says; where that changes nothing, nothing is written. Raises DoesNotExist."""
    hold_edits()
    stored: Threshold = thresholds().get(pk=threshold_id)
    before = document(stored)
    wanted, levels = columns(checked), _levels(checked)
    same_levels = [_row(level) for level in stored.levels.all()] == levels
    if same_levels and all(getattr(stored, name) == value for name, value in wanted.items()):
        return stored
    for name, value in wanted.items():
        setattr(stored, name, value)
    stored.save()
    if not same_levels:
        stored.levels.all().delete()
        _write_levels(stored, levels)
    made: Threshold = thresholds().get(pk=threshold_id)
    audit(KIND, made.pk, made.name, "changed", user, before, document(made))
    return made


@transaction.atomic
def switch(threshold_ids: Iterable[int], user: Any, *, enabled: bool) -> int:
    """Enable or disable thresholds; answers how many were not so already."""
    hold_edits()
    chosen = list(thresholds().filter(pk__in=list(threshold_ids)).exclude(enabled=enabled))
    for threshold in chosen:
        before = document(threshold)
        threshold.enabled = enabled
        threshold.save(update_fields=["enabled", "updated_at"])
        audit(KIND, threshold.pk, threshold.name, "changed", user, before, document(threshold))
    return len(chosen)


@transaction.atomic
def delete(threshold_ids: Iterable[int], user: Any) -> int:
    """Delete thresholds, and what they override no longer; answers how many there were. Their alerts stay on record."""
    hold_edits()
    ids = list(threshold_ids)
    chosen = list(thresholds().filter(pk__in=ids))
    for follower in thresholds().filter(overrides__in=ids).exclude(pk__in=ids):
        before = document(follower)
        follower.overrides = None
        follower.save(update_fields=["overrides", "updated_at"])
        audit(KIND, follower.pk, follower.name, "changed", user, before, document(follower))
    for threshold in chosen:
        audit(KIND, threshold.pk, threshold.name, "deleted", user, document(threshold), None)
    Threshold.objects.filter(pk__in=ids).delete()
    return len(chosen)


def delete_with_device(device: Device, user: Any) -> None:
    """Thresholds of a device alone go with it, each with its entry in the audit."""
    delete(Threshold.objects.filter(device=device).values_list("pk", flat=True), user)


def _levels(checked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of its level table, mildest first."""
    return sorted((level_columns(level) for level in checked["levels"]), key=lambda row: row["severity"])


def _row(level: Level) -> dict[str, Any]:
    return {name: getattr(level, name) for name in ("severity", "trigger", "trigger_high", "clear", "clear_high")}


def _write_levels(threshold: Threshold, rows: list[dict[str, Any]]) -> None:
    Level.objects.bulk_create(Level(threshold=threshold, **row) for row in rows)
