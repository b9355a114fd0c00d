"""A silence in words: whether it is in force, and which alerts it holds back. For the admin and the dashboard."""

from __future__ import annotations

from datetime import datetime

from alerts.models import Silence
from alerts.silencing import in_force
from thresholds.models import Severity
from thresholds.schedule import ScheduleError, parse

__all__ = ["holds", "state"]


def state(silence: Silence, now: datetime) -> str:
    """over, in force or waiting. One whose schedule cannot be read waits: it holds nothing back."""
    if silence.ends_at is not None and silence.ends_at <= now:
        return "over"
    try:
        return "in force" if in_force(silence.starts_at, silence.ends_at, parse(silence.schedule), now) else "waiting"
    except ScheduleError:
        return "waiting"


def holds(silence: Silence) -> str:
    """Which alerts it holds back."""
    parts = [f"device {silence.device.name}"] if silence.device else []
    parts += [f"group {silence.group.path}"] if silence.group else []
    parts += [f"type {silence.device_type.name}"] if silence.device_type else []
    parts += [f"threshold {silence.threshold.name}"] if silence.threshold else []
    parts += [f"metric {silence.metric}"] if silence.metric else []
    parts += [f"{key}: {value}" for key, value in silence.labels.items()]
    text = ", ".join(parts) or "every alert"
    most = Severity(silence.max_severity)
    return text if most == Severity.CRITICAL else f"{text}, up to {most.label}"
