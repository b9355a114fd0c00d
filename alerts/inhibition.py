"""A gateway that fell silent explains why its devices did: their own silent alerts are not told while its one is open."""

from __future__ import annotations

from collections.abc import Iterable

from alerts.models import Alert
from alerts.subject import Subject
from telemetry.models import Device
from thresholds.models import Condition

__all__ = ["inhibited_by", "silent_gateways"]


def silent_gateways(subjects: Iterable[Subject]) -> dict[int, str]:
    """Of the gateways of these alerts' devices, those with a live silent alert: device id → name."""
    parents = {subject.parent_id or 0 for subject in subjects if _may_be_inhibited(subject)}
    if not parents:
        return {}
    live = Alert.objects.filter(condition=Condition.SILENT, state__in=Alert.LIVE, device_id__in=parents)
    silent = set(live.values_list("device_id", flat=True))
    return dict(Device.objects.filter(pk__in=silent).values_list("pk", "name"))


def inhibited_by(gateways: dict[int, str], subject: Subject) -> str | None:
    """The gateway whose silence explains this alert; None where there is none."""
    if not _may_be_inhibited(subject) or subject.parent_id is None:
        return None
    return gateways.get(subject.parent_id)


def _may_be_inhibited(subject: Subject) -> bool:
    return subject.condition == Condition.SILENT and subject.parent_id is not None
